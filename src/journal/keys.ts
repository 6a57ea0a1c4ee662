/**
 * The journal's keys. One letter says what a key is. A number is written in base 36 behind a digit that says how long
 * it is, so that the order of the keys is the order of the numbers.
 *
 * | key                                    | value                                                   |
 * |----------------------------------------|---------------------------------------------------------|
 * | `j!id`                                 | the job's spec, written once                            |
 * | `s!id`                                 | the job's status, from its first transition on          |
 * | `k!id`                                 | its last checkpoint, where its status says so; encoded  |
 * | `o!id`                                 | its notes: last progress and log lines, likewise        |
 * | `r!queue!lane!priority sequence`       | available, in the order of claiming; `id`               |
 * | `t!runAt sequence`                     | scheduled or retryable, by due time; `id`               |
 * | `w!sequence`                           | waits for its parents; `id`                             |
 * | `v!sequence`                           | for how many of them, and whether it ignores failures   |
 * | `e!hash!sequence`                      | waits for the job whose id has the hash; `id`           |
 * | `n!sequence hash n`                    | has ended, and its children are to be told; what of it  |
 * | `g!flow!sequence`                      | a job of the flow that has not ended; `id`              |
 * | `x!deadlineAt sequence`                | not ended, and with a deadline, by that; `id`           |
 * | `a!claim`                              | claimed together, and not all over yet; a roster        |
 * | `f!state!name!finishedAt sequence`     | of one type, ended together, by time; a roster          |
 * | `f!state!name!finishedAt sequence n`   | the same, of jobs that were retried n times before      |
 * | `u!name!unique key`                    | who holds it, or did; a key entry                       |
 * | `y!time sequence`                      | then to see whether somebody holds it still; `u!…`      |
 * | `c!queue`                              | the queue's counters                                    |
 * | `q!id`                                 | to run alone, for its process crashed twice; `id`       |
 * | `h!name`                               | a schedule, and how far it has come                     |
 * | `l!q!queue`, `l!t!name`, `l!k!lane`    | the window of a queue's, job type's or key's rate limit |
 * | `l!`                                   | the time of those windows, by the wall clock            |
 * | `p!queue`, `p!`                        | the queue, or all of them, is paused; nothing           |
 * | `m!…`                                  | format, sequence, low-water marks                       |
 *
 * A spec's payload that is too large for a record lies in a file below `payloads/`, which the spec names
 * (payload-files.ts).
 *
 * A roster is a list of ids: jobs that move together have one key, not one each. Which of them are still where it says
 * is in their statuses. A queue's available jobs lie in lanes, one per job type, so that a type that cannot run now
 * holds up no other; and those that have a concurrency key, such as a tenant, in one lane per type and key, `type~key`,
 * where the key's hash stands for one that has other characters than names have. Such lanes come and go, so none of
 * them has a low-water mark. Jobs that ended in a state lie in lanes of their types, too, for each type is kept for a
 * time of its own. A job that is retried stays on the roster of the end that it had: whoever reads one looks into the
 * job's status whether it has ended so, and as often as the roster says.
 */
import { createHash } from 'node:crypto';
import { MillraceError } from '../errors.js';
import { deadlineOf, isEnd, MAX_PRIORITY, type EndedState, type Job, type JobSpec } from '../job/record.js';

/** Behind every key that starts with the same prefix: `"` follows `!`. */
const END = '"';
const PRIORITY_WIDTH = 4;
/** How long a number is: the greatest safe integer has eleven digits. */
const LENGTHS = '0123456789ab';

function number(value: number): string {
  const digits = value.toString(36);
  return LENGTHS.charAt(digits.length) + digits;
}

/** An id may hold any character, so where it is not the last part of a key its hash stands for it. */
const hashOf = (id: string): string => createHash('sha256').update(id).digest('base64url').slice(0, 22);

/** Where the number ends that begins at a position of a key. */
const behindNumber = (key: string, at: number): number => at + 1 + LENGTHS.indexOf(key.charAt(at));

/** The number that begins at a position of a key. */
function numberAt(key: string, at: number): number {
  return Number.parseInt(key.slice(at + 1, behindNumber(key, at)), 36);
}

export const specKey = (id: string): string => `j!${id}`;
export const statusKey = (id: string): string => `s!${id}`;
export const checkpointKey = (id: string): string => `k!${id}`;
export const notesKey = (id: string): string => `o!${id}`;
export const countersKey = (queue: string): string => `c!${queue}`;
export const waitingKey = (sequence: number): string => `w!${number(sequence)}`;
export const parentCountKey = (sequence: number): string => `v!${number(sequence)}`;
/** @param sequence The child's. */
export const childKey = (parentId: string, sequence: number): string =>
  `e!${hashOf(parentId)}!${number(sequence)}`;
/**
 * @param sequence Where it sorts: the job's own, or a later one.
 * @param retries How often the job of that sequence was retried before: each end is news of its own.
 */
export const newsKey = (id: string, sequence: number, retries = 0): string =>
  `n!${number(sequence)}${hashOf(id)}${number(retries)}`;
/** The sequence of the child of a {@link childKey}. */
export const childOf = (key: string): number => numberAt(key, key.lastIndexOf('!') + 1);
export const memberKey = (flow: string, sequence: number): string => `g!${flow}!${number(sequence)}`;
export const scheduleKey = (name: string): string => `h!${name}`;
/** @param name Of a rate limit; empty for the time of all of them. */
export const rateKey = (name: string): string => `l!${name}`;
/** @param queue Empty for all of them: no queue is named so. */
export const pauseKey = (queue: string): string => `p!${queue}`;
export const suspectKey = (id: string): string => `q!${id}`;
export const uniqueKeyOf = (name: string, uniqueKey: string): string => `u!${name}!${uniqueKey}`;
export const sweepKey = (at: number, sequence: number): string => `y!${number(at)}${number(sequence)}`;
export const metaKey = (name: string): string => `m!${name}`;
export const runningKey = (claim: number): string => `a!${number(claim)}`;
export const dueKey = (runAt: number, sequence: number): string => `t!${number(runAt)}${number(sequence)}`;
export const deadlineKey = (deadlineAt: number, sequence: number): string =>
  `x!${number(deadlineAt)}${number(sequence)}`;

/** Behind a type's name, which cannot hold it. */
const KEYED = '~';
/** A concurrency key that can be part of a key as it is. */
const PLAIN = /^[\w.:/-]{1,64}$/;

/** The lane of a job in its queue. */
export function laneNameOf({ name, concurrencyKey }: Pick<JobSpec, 'name' | 'concurrencyKey'>): string {
  if (concurrencyKey === undefined) return name;
  const key = PLAIN.test(concurrencyKey) ? concurrencyKey : `${KEYED}${hashOf(concurrencyKey)}`;
  return `${name}${KEYED}${key}`;
}

/** A higher priority sorts first, so it is stored as its distance from the highest. */
export function readyKey(
  spec: Pick<JobSpec, 'queue' | 'name' | 'priority' | 'sequence' | 'concurrencyKey'>,
): string {
  const rank = (MAX_PRIORITY - spec.priority).toString(16).padStart(PRIORITY_WIDTH, '0');
  return `r!${spec.queue}!${laneNameOf(spec)}!${rank}${number(spec.sequence)}`;
}

const orderStart = (key: string): number => key.lastIndexOf('!') + 1;
/** What orders the ready keys of a queue, whatever their lanes: priority, then sequence. */
export const orderOf = (readyKey: string): string => readyKey.slice(orderStart(readyKey));

/** @param retries How often the jobs of the roster were retried before. */
export function endedKey(
  state: EndedState,
  name: string,
  finishedAt: number,
  sequence: number,
  retries = 0,
): string {
  const key = `f!${state}!${name}!${number(finishedAt)}${number(sequence)}`;
  return retries === 0 ? key : `${key}${number(retries)}`;
}

/** What the children of a job are told of it. */
export interface JobNews {
  readonly id: string;
  /** Of its end; absent where somebody only asks to look whether it has ended. */
  readonly end?: { readonly sequence: number; readonly retries: number; readonly isCompleted: boolean };
}

export const newsText = (news: JobNews): string => JSON.stringify(news);
/** Safe for texts whose checksum held: {@link newsText} made them. */
export const newsIn = (text: string): JobNews => JSON.parse(text) as JobNews;

/** For how many jobs one still waits. */
export interface ParentCount {
  readonly count: number;
  /** Whether a parent that did not complete counts as done: then only its last one changes what it is. */
  readonly ignoresFailures: boolean;
}

const IGNORES = '~';
export const parentCountText = ({ count, ignoresFailures }: ParentCount): string =>
  `${count}${ignoresFailures ? IGNORES : ''}`;
/** Safe for texts whose checksum held. */
export const parentCountIn = (text: string): ParentCount => ({
  count: Number.parseInt(text, 10),
  ignoresFailures: text.endsWith(IGNORES),
});
export const ignoresFailures = ({ onParentFailure }: JobSpec): boolean => onParentFailure === 'ignore';

/** Everything under a prefix, as a half-open range. */
export interface Span {
  readonly from: string;
  readonly to: string;
}

const span = (prefix: string): Span => ({ from: `${prefix}!`, to: `${prefix}${END}` });

/** Every key there is. */
export const ALL_KEYS: Span = { from: ' ', to: '~' };
export const SPECS_SPAN = span('j');
export const STATUSES_SPAN = span('s');
/** All available jobs of a queue. */
export const readySpan = (queue: string): Span => span(`r!${queue}`);
/** The available jobs of one lane of a queue. */
export const laneSpan = (queue: string, lane: string): Span => span(`r!${queue}!${lane}`);
/** The available jobs of one type in a queue that have a concurrency key. */
export function keyedSpan(queue: string, name: string): Span {
  const from = `r!${queue}!${name}${KEYED}`;
  return { from, to: `${from.slice(0, -1)}\x7f` };
}
/** All jobs that ended in a state. */
export const endedSpan = (state: EndedState): Span => span(`f!${state}`);
/** The jobs of one type that ended in a state. */
export const endedLaneSpan = (state: EndedState, name: string): Span => span(`f!${state}!${name}`);
/** The lane of a key that lies in one. */
export const laneOf = (key: string): string => key.split('!')[2] ?? '';
/** The lane of a ready key, where that is one of a concurrency key. */
export const keyedLaneOf = (key: string): string | undefined =>
  key.includes(KEYED) ? laneOf(key) : undefined;
/** The job type that a lane is of. */
export function typeOf(lane: string): string {
  const at = lane.indexOf(KEYED);
  return at < 0 ? lane : lane.slice(0, at);
}
/** The jobs that wait for one. */
export const childrenSpan = (parentId: string): Span => span(`e!${hashOf(parentId)}`);
/** The jobs of a flow that have not ended. */
export const membersSpan = (flow: string): Span => span(`g!${flow}`);
/** All available jobs of all queues. */
export const ALL_READY_SPAN = span('r');
export const queueOf = (readyKey: string): string => readyKey.split('!')[1] ?? '';
export const SPEC_SPAN = span('j');
export const RUNNING_SPAN = span('a');
export const COUNTERS_SPAN = span('c');
export const WAITING_SPAN = span('w');
export const NEWS_SPAN = span('n');
/** Who waits for whom: what follows from the jobs, but for how far it has come. */
export const FLOW_SPANS: readonly Span[] = [span('v'), span('e'), NEWS_SPAN, span('g')];
export const SCHEDULES_SPAN = span('h');
export const PAUSES_SPAN = span('p');
export const RATES_SPAN = span('l');
export const SUSPECTS_SPAN = span('q');
export const MARKS_SPAN = span('m!low');
export const DUE_SPAN = span('t');
export const DEADLINES_SPAN = span('x');
export const SWEEPS_SPAN = span('y');
export const markKey = (from: string): string => metaKey(`low!${from}`);

export const scheduleOf = (key: string): string => key.slice(SCHEDULES_SPAN.from.length);

export const rateOf = (key: string): string => key.slice(RATES_SPAN.from.length);
export const pausedOf = (key: string): string => key.slice(PAUSES_SPAN.from.length);

/** The instant of a due key, or of one by deadline. */
export const dueAtOf = (key: string): number => numberAt(key, 2);
export const dueSequenceOf = (key: string): number => numberAt(key, behindNumber(key, 2));
export const sweepAtOf = (key: string): number => numberAt(key, 2);
export const claimOf = (key: string): number => numberAt(key, 2);
export const finishedAtOf = (endedKey: string): number => numberAt(endedKey, orderStart(endedKey));

/** What the key of a roster of ended jobs says of them: `finishedAt` is when the last of them did. */
export interface RosterEnd {
  readonly state: EndedState;
  readonly finishedAt: number;
  /** How often they were retried before. */
  readonly retries: number;
}

export function endedOf(key: string): RosterEnd {
  const at = behindNumber(key, behindNumber(key, orderStart(key)));
  const retries = at < key.length ? numberAt(key, at) : 0;
  // Safe: endedKey() made it.
  return { state: key.split('!')[1] as EndedState, finishedAt: finishedAtOf(key), retries };
}

/** Whether the end that a job has is the one of which a roster tells, and none before it, or of another job of its id. */
export function isEndOf({ spec, status }: Job, key: string): boolean {
  const { state, finishedAt, retries } = endedOf(key);
  if (status.state !== state || (status.retries ?? 0) !== retries || spec.name !== laneOf(key)) return false;
  return (status.finishedAt ?? Infinity) <= finishedAt;
}

/** What the keys of the same span begin with: `r!queue!lane!`, `f!state!name!`, `t!`, `x!` or `a!`. */
export function spanStartOf(key: string): string {
  return key.startsWith('r!') || key.startsWith('f!') ? key.slice(0, orderStart(key)) : key.slice(0, 2);
}

/** Priority and sequence of a ready key: its last two numbers. */
export function rankOf(key: string): { priority: number; sequence: number } {
  const at = orderStart(key);
  const rank = Number.parseInt(key.slice(at, at + PRIORITY_WIDTH), 16);
  return { priority: MAX_PRIORITY - rank, sequence: numberAt(key, at + PRIORITY_WIDTH) };
}

/** Whether it is the place of a job: {@link placeOf}. */
export const isPlace = (key: string): boolean => /^[rtw]!/.test(key);

/** The key of its own of a job that waits: for a thread, for a time, or for others. */
export function placeOf({ spec, status }: Job): string | undefined {
  switch (status.state) {
    case 'available':
      return readyKey(spec);
    case 'waiting':
      return waitingKey(spec.sequence);
    case 'scheduled':
    case 'retryable':
      if (status.runAt === undefined) throw incomplete(spec);
      return dueKey(status.runAt, spec.sequence);
    default:
      return undefined;
  }
}

/** The key by its deadline of a job that has one and has not ended. */
export function deadlineKeyOf({ spec, status }: Job): string | undefined {
  const deadlineAt = deadlineOf({ spec, status });
  if (deadlineAt === undefined || isEnd(status.state)) return undefined;
  return deadlineKey(deadlineAt, spec.sequence);
}

export function incomplete({ id }: JobSpec): MillraceError {
  const message = `The status of job ${id} lacks what its state needs`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}
