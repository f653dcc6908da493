/** How long a call may take unless its caller says otherwise, in milliseconds. */

/** The kubelet's runtimeRequestTimeout: for calls that do their work and answer. */
export const CALL_TIMEOUT_MS = 120_000;
/** Setting up the pod's network may take as long again. */
export const SANDBOX_TIMEOUT_MS = 240_000;
/** Calls that only look something up. */
export const LOOKUP_TIMEOUT_MS = 30_000;
