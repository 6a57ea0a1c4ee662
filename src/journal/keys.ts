/**
 * The journal's keys. One letter says what a key is; numbers are fixed-width hexadecimal, so that the order of
 * the keys is the order of the numbers.
 *
 * | key                                    | value                                                   |
 * |----------------------------------------|---------------------------------------------------------|
 * | `j!id`                                 | the job's spec, written once                            |
 * | `s!id`                                 | the job's status, from its first transition on          |
 * | `r!queue!lane!priority sequence`       | available, in the order of claiming; `id`               |
 * | `t!runAt sequence`                     | scheduled or retryable, by due time; `id`               |
 * | `a!claim`                              | running; `id`                                           |
 * | `f!state!finishedAt sequence`          | ended, by state and time; `id`                          |
 * | `c!queue`                              | the queue's counters                                    |
 * | `m!…`                                  | format, sequence, low-water marks                       |
 *
 * A job that has not ended, and is not waiting for parents, has exactly one of `r`, `t`, `a`. A queue's available jobs
 * lie in lanes, one per job type, so that a type that cannot run now holds up no other. (A concurrency key, such as a
 * tenant, would be a part of the lane's name.)
 */
import { MillraceError } from '../errors.js';
import { MAX_PRIORITY, type EndedState, type Job, type JobSpec } from '../job/record.js';

/** Behind every key that starts with the same prefix: `"` follows `!`. */
const END = '"';
const NUMBER_WIDTH = 13;
const PRIORITY_WIDTH = 4;
const ORDER_WIDTH = PRIORITY_WIDTH + NUMBER_WIDTH;

const number = (value: number): string => value.toString(16).padStart(NUMBER_WIDTH, '0');

export const specKey = (id: string): string => `j!${id}`;
export const statusKey = (id: string): string => `s!${id}`;
export const countersKey = (queue: string): string => `c!${queue}`;
export const metaKey = (name: string): string => `m!${name}`;
export const runningKey = (claim: number): string => `a!${number(claim)}`;
export const dueKey = (runAt: number, sequence: number): string => `t!${number(runAt)}${number(sequence)}`;

/** A higher priority sorts first, so it is stored as its distance from the highest. */
export function readyKey(spec: Pick<JobSpec, 'queue' | 'name' | 'priority' | 'sequence'>): string {
  const rank = (MAX_PRIORITY - spec.priority).toString(16).padStart(PRIORITY_WIDTH, '0');
  return `r!${spec.queue}!${spec.name}!${rank}${number(spec.sequence)}`;
}

/** What orders the ready keys of a queue, whatever their lanes: priority, then sequence. */
export const orderOf = (readyKey: string): string => readyKey.slice(-ORDER_WIDTH);

export function endedKey(state: EndedState, finishedAt: number, sequence: number): string {
  return `f!${state}!${number(finishedAt)}${number(sequence)}`;
}

/** Everything under a prefix, as a half-open range. */
export interface Span {
  readonly from: string;
  readonly to: string;
}

const span = (prefix: string): Span => ({ from: `${prefix}!`, to: `${prefix}${END}` });

/** All available jobs of a queue. */
export const readySpan = (queue: string): Span => span(`r!${queue}`);
/** The available jobs of one type in a queue. */
export const laneSpan = (queue: string, name: string): Span => span(`r!${queue}!${name}`);
export const laneOf = (readyKey: string): string => readyKey.split('!')[2] ?? '';
export const RUNNING_SPAN = span('a');
export const COUNTERS_SPAN = span('c');
export const MARKS_SPAN = span('m!low');
export const DUE_SPAN = span('t');
export const markKey = (from: string): string => metaKey(`low!${from}`);

/** Where the runAt of a due key stands. */
export const dueAtOf = (key: string): number => Number.parseInt(key.slice(2, 2 + NUMBER_WIDTH), 16);
export const claimOf = (key: string): number => Number.parseInt(key.slice(2), 16);

/** What the keys of the same span begin with: `r!queue!lane!`, `t!`, `a!` or `f!…`. */
export function spanStartOf(key: string): string {
  return key.startsWith('r!') ? key.slice(0, -ORDER_WIDTH) : key.slice(0, 2);
}

/** Priority and sequence of a ready key: its last two numbers. */
export function rankOf(key: string): { priority: number; sequence: number } {
  const sequence = Number.parseInt(key.slice(-NUMBER_WIDTH), 16);
  const rank = Number.parseInt(key.slice(-NUMBER_WIDTH - PRIORITY_WIDTH, -NUMBER_WIDTH), 16);
  return { priority: MAX_PRIORITY - rank, sequence };
}

/**
 * The one key that says where a job is, by its state, and what is stored there; nothing for a job that waits
 * for its parents.
 */
export function placeOf({ spec, status }: Job): { key: string; value: string } | undefined {
  switch (status.state) {
    case 'available':
      return { key: readyKey(spec), value: spec.id };
    case 'scheduled':
    case 'retryable':
      return { key: dueKey(required(status.runAt, spec), spec.sequence), value: spec.id };
    case 'running':
      return { key: runningKey(required(status.claim, spec)), value: spec.id };
    case 'completed':
    case 'failed':
    case 'cancelled':
      return {
        key: endedKey(status.state, required(status.finishedAt, spec), spec.sequence),
        value: spec.id,
      };
    case 'waiting':
      return undefined;
    default:
      return status.state satisfies never;
  }
}

function required(value: number | undefined, spec: JobSpec): number {
  if (value === undefined) {
    throw new MillraceError(
      'MILLRACE_JOURNAL_CORRUPT',
      `The status of job ${spec.id} lacks the instant that its state needs`,
    );
  }
  return value;
}
