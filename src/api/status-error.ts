import type { Status, StatusDetails } from './generated/types.ts';

/**
 * A failure that the API server answers with: wraps `metav1.Status`. `reason` is the machine-readable one
 * (`NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, `BadRequest`, `Expired`, ...), `code` the HTTP status.
 */
export class ApiStatusError extends Error {
  override readonly name = 'ApiStatusError';
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  /** The Status object as it goes over the wire. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(this.details ? { details: this.details } : {}),
      code: this.code,
    };
  }

  /** From a Status that a server sent. */
  static fromStatus(status: Status): ApiStatusError {
    return new ApiStatusError(
      status.code ?? 500,
      status.reason ?? '',
      status.message ?? 'unknown error',
      status.details,
    );
  }
}

/** Whether `error` is the API server's answer with this reason, such as `NotFound`. */
export function hasReason(error: unknown, reason: string): error is ApiStatusError {
  return error instanceof ApiStatusError && error.reason === reason;
}
