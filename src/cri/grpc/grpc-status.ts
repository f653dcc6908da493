import { constants } from 'node:http2';
import type { CriCode } from '../cri-error.ts';

/** By number, 1 to 16: https://grpc.io/docs/guides/status-codes/ */
const CODES: readonly CriCode[] = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** The code of a `grpc-status` header; `OK` for 0, UNKNOWN for a number that gRPC does not define. */
export function codeOfStatus(status: string): CriCode | 'OK' {
  return status === '0' ? 'OK' : (CODES[Number(status) - 1] ?? 'UNKNOWN');
}

/** The text of a `grpc-message` header, which is percent-encoded UTF-8; bytes that are not stay as they are. */
export function decodeMessage(message: string): string {
  if (!message.includes('%')) return message;
  const bytes = message.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** The code of a stream that was reset before any status came (gRPC over HTTP/2, "Errors"). */
export function codeOfReset(http2Code: number): CriCode {
  switch (http2Code) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return 'UNAVAILABLE';
    case constants.NGHTTP2_CANCEL:
      return 'CANCELLED';
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return 'RESOURCE_EXHAUSTED';
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return 'PERMISSION_DENIED';
    default:
      return 'INTERNAL';
  }
}

/** The `grpc-timeout` header for a time in ms: at most eight digits and a unit. */
export function timeoutHeader(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  return ms < 100_000_000 ? `${ms}m` : `${Math.min(99_999_999, Math.ceil(ms / 1000))}S`;
}
