/** How a value is refused that cannot be stored, or takes more bytes than it may. */
import { MillraceError, PayloadInvalidError, type MillraceErrorCode } from '../errors.js';

export interface SizeLimit {
  readonly maxBytes: number;
  /** What to do about a value that takes more: a sentence without its full stop. */
  readonly advice?: () => string;
}

export function refused(code: MillraceErrorCode, message: string, options?: ErrorOptions): MillraceError {
  return code === 'MILLRACE_PAYLOAD_INVALID'
    ? new PayloadInvalidError(message, [], options)
    : new MillraceError(code, message, options);
}

/** A path, such as `schedules.nightly.payload`, has no article. */
export const aValue = (what: string): string =>
  what === 'options' || /[.[]/.test(what) ? what : `a ${what}`;

/** @param got How many bytes, or what of more. */
export function tooLarge(
  code: MillraceErrorCode,
  what: string,
  { maxBytes, advice }: SizeLimit,
  got: string,
): MillraceError {
  const message = `Expected ${aValue(what)} of at most ${maxBytes} bytes, got ${got}`;
  return refused(code, advice ? `${message}. ${advice()}` : message);
}

/** @throws MillraceError with `code` */
export function assertSize(
  { byteLength }: Uint8Array,
  what: string,
  code: MillraceErrorCode,
  limit: SizeLimit,
): void {
  if (byteLength > limit.maxBytes) throw tooLarge(code, what, limit, `${byteLength} bytes`);
}
