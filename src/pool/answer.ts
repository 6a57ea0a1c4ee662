/**
 * How a handler's end becomes the attempt's outcome; the same rules for threads and inline jobs. A task that was
 * told to stop has its outcome already, whatever its handler answers within the grace.
 */
import { isInstance, messageOf, MillraceError, read } from '../errors.js';
import { DEFAULT_MAX_BYTES, encode } from '../job/codec.js';
import { toMs, type Duration } from '../job/duration.js';
import {
  askedDelay,
  decodeError,
  encodeError,
  isUnrecoverable,
  type AskedDelay,
  type ErrorData,
} from '../job/error-data.js';
import type { Outcome } from '../job/outcome.js';
import { isRefusedForGood } from './call.js';
import { stopError, type StopReason, type Task } from './contract.js';
import { PayloadLost } from './payload-source.js';

/** What became of a handler: `stopped` where it was told to stop before it began. */
export type Answer =
  | readonly [kind: 'completed', result: Uint8Array]
  | readonly [kind: 'errored' | 'unrecoverable', error: Uint8Array]
  | readonly [kind: 'snoozed', delayMs: number, error: Uint8Array | undefined]
  | readonly [kind: 'stopped'];

/** @throws MillraceError `MILLRACE_RESULT_INVALID` */
export function resultAnswer(result: unknown, name: string, maxBytes = DEFAULT_MAX_BYTES): Answer {
  const advice = (): string =>
    `Raise \`maxResultBytes\` of job type ${name}, or store the data elsewhere and return where it is`;
  return ['completed', encode(result, 'result', 'MILLRACE_RESULT_INVALID', { maxBytes, advice })];
}

/** What a handler threw, or what its result was refused with. */
export function errorAnswer(thrown: unknown): Answer {
  if (isInstance(thrown, PayloadLost)) return ['unrecoverable', encodeError(thrown.cause)];
  const asked = askedDelay(thrown);
  if (asked) return snoozeAnswer(thrown, asked);
  const isFinal = isUnrecoverable(thrown) || isResultInvalid(thrown) || isRefusedForGood(thrown);
  return [isFinal ? 'unrecoverable' : 'errored', encodeError(thrown)];
}

export function outcomeOf(answer: Answer, task: Task, stop: StopReason | undefined): Outcome {
  // It has not begun, so it is its job that expires, where it waits again.
  if (stop === 'overdue' && answer[0] === 'stopped') return { kind: 'released' };
  if (isDecided(stop)) return stoppedOutcome(task, stop);
  switch (answer[0]) {
    case 'completed':
      return { kind: 'completed', result: answer[1] };
    case 'errored':
    case 'unrecoverable':
      if (stop === 'shutdown' && isInterruption(answer[0], answer[1])) return { kind: 'released' };
      return { kind: 'errored', error: answer[1], unrecoverable: answer[0] === 'unrecoverable' };
    case 'snoozed':
      return {
        kind: 'snoozed',
        delayMs: answer[1],
        ...(answer[2] && { error: answer[2] }),
      };
    case 'stopped':
      return { kind: 'released' };
    default:
      return answer satisfies never;
  }
}

/**
 * Whether what a handler threw while the engine closes came of that: most likely it is the signal's reason, or what that
 * was turned into. Only where the handler says by itself that its job is done for, it is believed.
 */
const isInterruption = (kind: 'errored' | 'unrecoverable', error: Uint8Array): boolean =>
  kind === 'errored' || cameOfAbort(decodeError(error));

function cameOfAbort({ name, code, cause }: ErrorData): boolean {
  if (name === 'AbortError' || code === 'ABORT_ERR' || code === 'MILLRACE_SHUTTING_DOWN') return true;
  return cause !== undefined && !('value' in cause) && cameOfAbort(cause);
}

/**
 * For a task whose handler gave no answer and never will.
 * @param error What ended the thread under it, encoded; absent where the task is not to blame.
 */
export function lostOutcome(task: Task, stop: StopReason | undefined, error?: Uint8Array): Outcome {
  if (isDecided(stop)) return stoppedOutcome(task, stop);
  return error && !stop ? { kind: 'crashed', error } : { kind: 'released' };
}

/** For a task that was told to stop before its handler had begun. */
export function unbegunOutcome(task: Task, stop: StopReason): Outcome {
  return outcomeOf(['stopped'], task, stop);
}

/** What was decided when the signal was sent. */
type Decided = Exclude<StopReason, 'shutdown'>;
const isDecided = (stop: StopReason | undefined): stop is Decided =>
  stop !== undefined && stop !== 'shutdown';

function stoppedOutcome(task: Task, stop: Decided): Outcome {
  return stop === 'cancelled'
    ? { kind: 'cancelled' }
    : { kind: stop, error: encodeError(stopError(stop, task)) };
}

/** Whoever made the error: what cannot be waited for is an error like any other, that says so. */
function snoozeAnswer(thrown: unknown, { isError, delayMs }: AskedDelay): Answer {
  try {
    // The cast hides nothing: toMs() refuses whatever is no duration.
    return ['snoozed', toMs(delayMs as Duration, 'delayMs'), isError ? encodeError(thrown) : undefined];
  } catch (refusal) {
    const error = new MillraceError('MILLRACE_OPTION_INVALID', messageOf(refusal), { cause: thrown });
    return ['errored', encodeError(error)];
  }
}

/** A result that cannot be stored will be no better the next time, and the work was done. */
function isResultInvalid(thrown: unknown): boolean {
  return isInstance(thrown, MillraceError) && read(thrown, 'code') === 'MILLRACE_RESULT_INVALID';
}
