/**
 * A job as a line of JSON, and back. What JSON keeps exactly (a payload, a result, an error) is plain JSON, which people
 * and other programs can read; anything else is the codec's bytes in base64, in a field whose name ends in `Base64`
 * (line-bytes.ts).
 */
import {
  boolean,
  checkDurability,
  checkName,
  checkPriority,
  checkReason,
  checkText,
  integer,
  LAST_INSTANT,
  oneOf,
} from '../checks.js';
import { invalidOption } from '../errors.js';
import {
  ALONE_FROM,
  isEnd,
  MAX_ERRORS,
  ON_PARENT_FAILURE,
  type AttemptRecord,
  type Draft,
  type Job,
  type JobSpec,
  type JobState,
  type JobStatus,
  type UniqueWhile,
} from '../job/record.js';
import { bytesOf, errorIn, fieldOf, hasBytes, record, type Fields } from './line-bytes.js';

/** The states that a line can have: a job that ran waits again. */
const STATES = [
  'waiting',
  'scheduled',
  'available',
  'retryable',
  'completed',
  'failed',
  'cancelled',
] as const;
const UNIQUE_STATES = ['queued', 'active', 'retained'] as const;
/** A record has room for twice as many: what is imported can still be run. */
const MAX_ATTEMPT = 2 ** 31;

/** What a line has as the record has it: how each field is checked, where it is there. */
type Checks = Readonly<Record<string, (value: unknown, field: string) => unknown>>;

const from =
  (min: number, max?: number) =>
  (value: unknown, field: string): number =>
    integer(value, field, min, max);

/** What else there is of a status. */
const STATUS_BYTES = ['result', 'failure', 'snoozeError'] as const;

/** Fields that a line has in another form, or not at all: so that no other is forgotten here. */
type UnlikeSpec = 'sequence' | 'payload' | 'payloadFile' | 'runAt';
type UnlikeStatus =
  | (typeof STATUS_BYTES)[number]
  | ('state' | 'attempt' | 'errors' | 'claim' | 'cancelRequestedAt' | 'hasCheckpoint' | 'hasNotes');

const SPEC_CHECKS = {
  id: checkText,
  name: checkName,
  queue: checkName,
  priority: checkPriority,
  enqueuedAt: from(0),
  durability: checkDurability,
} satisfies Checks;

const OWN_SPEC_CHECKS = {
  maxAttempts: from(1),
  timeoutMs: from(1),
  deadlineAt: from(0, LAST_INSTANT),
  payloadVersion: from(1),
  concurrencyKey: checkText,
  schedule: checkName,
  scheduledFor: from(0),
  uniqueKey: checkText,
  uniqueWhile: uniqueWhileOf,
  flow: checkName,
  isParent: (value: unknown, field: string) => oneOf(value, field, [true]),
  parents: parentsOf,
  onParentFailure: (value: unknown, field: string) => oneOf(value, field, ON_PARENT_FAILURE),
} satisfies Checks & Record<Exclude<keyof JobSpec, keyof typeof SPEC_CHECKS | UnlikeSpec>, unknown>;

const STATUS_CHECKS = {
  snoozes: from(1),
  runAt: from(0),
  startedAt: from(0),
  finishedAt: from(0),
  keyFreed: boolean,
  cancelReason: checkReason,
  retries: from(1, MAX_ATTEMPT),
  attemptsBefore: from(0, MAX_ATTEMPT),
  suspicions: from(1, ALONE_FROM),
  crashes: from(1),
} satisfies Checks & Record<Exclude<keyof JobStatus, UnlikeStatus>, unknown>;

const FIELDS: ReadonlySet<string> = new Set([
  ...Object.keys({ ...SPEC_CHECKS, ...OWN_SPEC_CHECKS, ...STATUS_CHECKS }),
  ...['payload', 'checkpoint', ...STATUS_BYTES].flatMap((name) => [name, `${name}Base64`]),
  'state',
  'attempt',
  'errors',
]);

/** @returns a line's object; JSON leaves out what is `undefined`. */
export function fieldsOf({ spec, status }: Job, checkpoint?: Uint8Array): Fields {
  const { state, attempt, errors } = status;
  // That it was claimed is not in the line, and it let go of its key then.
  const wasClaimed = spec.uniqueWhile === 'queued' && status.claim !== undefined && !isEnd(state);
  return {
    ...picked(spec, SPEC_CHECKS),
    state,
    ...picked(spec, OWN_SPEC_CHECKS),
    attempt,
    ...picked(status, STATUS_CHECKS),
    keyFreed: wasClaimed || status.keyFreed,
    ...fieldOf('payload', spec.payload),
    ...STATUS_BYTES.reduce<Fields>((all, name) => {
      const bytes = status[name];
      return bytes ? { ...all, ...fieldOf(name, bytes) } : all;
    }, {}),
    ...(checkpoint && fieldOf('checkpoint', checkpoint)),
    errors: errors?.map((one) => ({
      attempt: one.attempt,
      startedAt: one.startedAt,
      endedAt: one.endedAt,
      thread: one.thread,
      ...fieldOf('error', one.error),
    })),
  };
}

/** @param checks Of the fields that are meant. */
function picked<From extends object>(
  from: From,
  checks: { readonly [Name in keyof From]?: unknown },
): Fields {
  // Safe: these are its keys.
  const names = Object.keys(checks) as (keyof From)[];
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

/** The checkpoint that a line's job has. @throws MillraceError as {@link jobOf} does */
export const checkpointOf = (line: Fields): Uint8Array | undefined =>
  hasBytes(line, 'checkpoint') ? bytesOf(line, 'checkpoint') : undefined;

/**
 * @param sequence The job's own in its new journal.
 * @throws MillraceError that says what was expected, and what came.
 */
export function jobOf(line: Fields, sequence: number): Job {
  const unknown = Object.keys(line).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw invalidOption(unknown, 'absent: no job has such a field', line[unknown]);
  const spec: JobSpec = {
    ...all(line, SPEC_CHECKS),
    sequence,
    payload: bytesOf(line, 'payload'),
    ...present(line, OWN_SPEC_CHECKS),
  };
  together(line, 'schedule', 'scheduledFor');
  together(line, 'uniqueKey', 'uniqueWhile');
  const { flow, isParent, parents, onParentFailure } = spec;
  const isOdd = flow === undefined && [isParent, parents, onParentFailure].some((one) => one !== undefined);
  if (isOdd) throw invalidOption('flow', 'present where `isParent`, `parents` or `onParentFailure` is', flow);
  return { spec, status: statusOf(line, stateOf(line['state'], spec)) };
}

function stateOf(value: unknown, { parents }: JobSpec): JobState {
  const state = oneOf(value, 'state', STATES);
  if (state !== 'waiting' || parents) return state;
  throw invalidOption('parents', 'present in a job that is waiting', parents);
}

function statusOf(line: Fields, state: JobState): JobStatus {
  const isDue = state === 'scheduled' || state === 'retryable';
  const hasEnded = isEnd(state);
  mustBe(line, 'runAt', isDue, state);
  mustBe(line, 'finishedAt', hasEnded, state);
  if (state !== 'completed') mustBe(line, 'result', false, state);
  if (hasEnded) mustBe(line, 'suspicions', false, state);
  if (state !== 'cancelled') mustBe(line, 'cancelReason', false, state);
  if (state !== 'failed') mustBe(line, 'failure', false, state);
  // Nothing is to be resumed of a job that has completed.
  if (state === 'completed') mustBe(line, 'checkpoint', false, state);
  together(line, 'retries', 'attemptsBefore');
  const attempt = integer(line['attempt'], 'attempt', 0, MAX_ATTEMPT);
  const status: Draft<JobStatus> = { state, attempt, ...present(line, STATUS_CHECKS) };
  const { attemptsBefore = 0, snoozes } = status;
  if (attemptsBefore > attempt)
    throw invalidOption('attemptsBefore', `an integer from 0 to ${attempt}, its attempts`, attemptsBefore);
  if (hasBytes(line, 'snoozeError') && snoozes === undefined)
    throw invalidOption('snoozeError', 'absent where `snoozes` is', line['snoozeError']);
  if (state === 'completed') status.result = bytesOf(line, 'result');
  for (const name of ['failure', 'snoozeError'] as const)
    if (hasBytes(line, name)) status[name] = errorIn(line, name);
  if (line['errors'] !== undefined) status.errors = errorsOf(line['errors']);
  if (hasBytes(line, 'checkpoint')) status.hasCheckpoint = true;
  return status;
}

/** A field that is there in some states, and only in those. */
function mustBe(line: Fields, name: string, isExpected: boolean, state: JobState): void {
  if (hasBytes(line, name) === isExpected) return;
  throw invalidOption(name, `${isExpected ? 'present' : 'absent'} in a job that is ${state}`, line[name]);
}

/** Both, or none. */
function together(line: Fields, first: string, second: string): void {
  if ((line[first] === undefined) === (line[second] === undefined)) return;
  throw invalidOption(second, `present where \`${first}\` is, and only there`, line[second]);
}

type Checked<Own extends Checks> = { -readonly [Name in keyof Own]: ReturnType<Own[Name]> };

function all<Own extends Checks>(line: Fields, checks: Own): Checked<Own> {
  const values = Object.entries(checks).map(([name, check]) => [name, check(line[name], name)] as const);
  // Safe: each check gives its own field back.
  return Object.fromEntries(values) as Checked<Own>;
}

function present<Own extends Checks>(line: Fields, checks: Own): Partial<Checked<Own>> {
  const there = Object.entries(checks).filter(([name]) => line[name] !== undefined);
  // Safe: all() of a part of them.
  return all(line, Object.fromEntries(there)) as Partial<Checked<Own>>;
}

function parentsOf(value: unknown, field: string): Readonly<Record<string, string>> {
  const ids = Object.entries(record(value, field)).map(
    ([key, id]) => [checkName(key, field), checkText(id, 'id')] as const,
  );
  return Object.fromEntries(ids);
}

function uniqueWhileOf(value: unknown, field: string): UniqueWhile {
  return typeof value === 'number' ? integer(value, field, 1) : oneOf(value, field, UNIQUE_STATES);
}

function errorsOf(errors: unknown): AttemptRecord[] {
  if (!Array.isArray(errors) || errors.length > MAX_ERRORS)
    throw invalidOption('errors', `an array of at most ${MAX_ERRORS}`, errors);
  return errors.map((one: unknown, i) => {
    const field = `errors[${i}]`;
    const { attempt, startedAt, endedAt, thread, error, errorBase64, ...rest } = record(one, field);
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw invalidOption(`${field}.${unknown}`, 'absent', rest[unknown]);
    return {
      attempt: integer(attempt, `${field}.attempt`, 1, MAX_ATTEMPT),
      startedAt: integer(startedAt, `${field}.startedAt`, 0),
      endedAt: integer(endedAt, `${field}.endedAt`, 0),
      ...(thread !== undefined && { thread: integer(thread, `${field}.thread`, 0) }),
      error: errorIn({ error, errorBase64 }, 'error', field),
    };
  });
}
