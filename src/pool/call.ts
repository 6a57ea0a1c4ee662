/** A call of what a handler's context offers: where it is refused, the handler is told which call that was, and where. */
import { isInstance, MillraceError, read, show, type MillraceErrorCode } from '../errors.js';

/** Of what is refused about the call itself. Whatever else a call rejects with is about the attempt, or the journal. */
const REFUSALS: ReadonlySet<MillraceErrorCode> = new Set([
  'MILLRACE_OPTION_INVALID',
  'MILLRACE_PAYLOAD_INVALID',
  'MILLRACE_JOB_UNKNOWN',
  'MILLRACE_QUEUE_UNKNOWN',
  'MILLRACE_ID_CONFLICT',
  'MILLRACE_FOLLOW_UPS_TOO_MANY',
]);
/** The call that an error refused, on that error: not enumerable, so that it is not stored with it. */
const CALL = Symbol('call');

export class Call {
  readonly #method: string;
  readonly #name: unknown;
  /** What was said of the refusal before the call was named. */
  #said = '';
  /** It was refused for what it was given, before the engine was asked. */
  isUnasked = false;
  /** From the handler's line on. */
  declare readonly stack?: unknown;

  /** @param made What the handler has called, and is in. @param name Of the job that is to be enqueued. */
  constructor(method: string, made: (...args: never[]) => unknown, name?: unknown) {
    this.#method = method;
    this.#name = name;
    Error.captureStackTrace(this, made);
  }

  /** What it rejects with, or throws, where this was thrown. @param isUnasked See {@link isUnasked}. */
  refused(thrown: unknown, isUnasked: boolean): unknown {
    if (!isInstance(thrown, MillraceError) || !REFUSALS.has(thrown.code)) return thrown;
    Object.defineProperty(thrown, CALL, { value: this });
    this.#said = thrown.message;
    this.isUnasked = isUnasked;
    return this.#tell(thrown, '');
  }

  /** The same, where nobody has listened to the promise. */
  static ignored(thrown: unknown): unknown {
    const call = callOf(thrown);
    if (!call || !isInstance(thrown, MillraceError)) return thrown;
    return call.#tell(thrown, ' (it was not awaited)');
  }

  #tell(error: MillraceError, note: string): MillraceError {
    error.message = this.#prefix(note) + this.#said;
    const frames = typeof this.stack === 'string' ? this.stack.replace(/^[^\n]*/, '') : '';
    const stack = `${error.name}: ${error.message}${frames}`;
    Object.defineProperty(error, 'stack', { value: stack, writable: true, configurable: true });
    return error;
  }

  #prefix(note: string): string {
    const name = typeof this.#name === 'string' ? `'${this.#name.slice(0, MAX_NAME)}'` : show(this.#name);
    return `job.${this.#method}(${this.#name === undefined ? '' : name})${note}: `;
  }
}

const MAX_NAME = 80;

/** Nobody else's: it was defined on an error of the engine's own making. */
function callOf(thrown: unknown): Call | undefined {
  const call = isInstance(thrown, MillraceError) ? read(thrown, CALL) : undefined;
  return isInstance(call, Call) ? call : undefined;
}

/**
 * Whether the same call would be refused the next time: what it was given cannot be stored, is too large, or is no option.
 * What a schema refuses, or another id, name or queue, may be another matter by then.
 */
export function isRefusedForGood(thrown: unknown): boolean {
  const call = callOf(thrown);
  if (!call || !isInstance(thrown, MillraceError)) return false;
  if (call.isUnasked) return true;
  const code = read(thrown, 'code');
  if (code === 'MILLRACE_OPTION_INVALID') return true;
  if (code !== 'MILLRACE_PAYLOAD_INVALID') return false;
  // What came to a thread from the engine has lost its class. There is a cause where a schema threw.
  const issues = read(thrown, 'issues');
  return read(thrown, 'cause') === undefined && !(isInstance(issues, Array) && issues.length > 0);
}
