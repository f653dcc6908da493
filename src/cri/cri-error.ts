/** gRPC status codes by name, as runtimes answer them. */
export type CriCode =
  | 'CANCELLED'
  | 'UNKNOWN'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNAUTHENTICATED';

/** A CRI call that failed. `message` is the runtime's own text, unchanged: events and statuses quote it. */
export class CriError extends Error {
  override readonly name = 'CriError';
  readonly code: CriCode;
  /** The call: `RunPodSandbox`. */
  readonly method: string;

  constructor(code: CriCode, method: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.method = method;
  }

  /** Whether the same call may succeed later without anything else changing: the runtime was away or overloaded. */
  get retriable(): boolean {
    return (
      this.code === 'UNAVAILABLE' ||
      this.code === 'DEADLINE_EXCEEDED' ||
      this.code === 'RESOURCE_EXHAUSTED' ||
      this.code === 'ABORTED'
    );
  }

  static from(error: unknown, method: string): CriError {
    if (error instanceof CriError) return error;
    return new CriError('UNKNOWN', method, error instanceof Error ? error.message : String(error), { cause: error });
  }
}
