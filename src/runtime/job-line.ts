/**
 * A job as a line of JSON, and back. What JSON keeps exactly (a payload, a result, an error) is plain JSON, which people
 * and other programs can read; anything else is the codec's bytes in base64, in a field whose name ends in `Base64`.
 */
import { isDeepStrictEqual } from 'node:util';
import { boolean, checkName, checkReason, checkText, LAST_INSTANT } from '../checks.js';
import { asError, invalidOption, MillraceError } from '../errors.js';
import { decode, encode, isRich } from '../job/codec.js';
import { isErrorData } from '../job/error-data.js';
import {
  ALONE_FROM,
  isEnd,
  MAX_ERRORS,
  MAX_PRIORITY,
  MIN_PRIORITY,
  ON_PARENT_FAILURE,
  type AttemptRecord,
  type Draft,
  type Durability,
  type Job,
  type JobSpec,
  type JobState,
  type JobStatus,
} from '../job/record.js';
import type { UniqueWhile } from '../job/uniqueness.js';

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
const DURABILITIES: readonly Durability[] = ['fsync', 'os'];
/** A record has room for twice as many: what is imported can still be run. */
const MAX_ATTEMPT = 2 ** 31;

/** What is larger, and holds something that JSON mostly has not, is not tried. */
const MAX_TRIED_BYTES = 65_536;

type Fields = Record<string, unknown>;

/** @returns a line's object; JSON leaves out what is `undefined`. */
export function fieldsOf({ spec, status }: Job, checkpoint?: Uint8Array): Fields {
  const { id, name, queue, priority, enqueuedAt, durability, maxAttempts, timeoutMs } = spec;
  const {
    deadlineAt,
    payloadVersion,
    concurrencyKey,
    schedule,
    scheduledFor,
    uniqueKey,
    uniqueWhile,
    flow,
    isParent,
    parents,
    onParentFailure,
  } = spec;
  const { state, attempt, runAt, startedAt, finishedAt, result, errors, snoozes, failure } = status;
  const { cancelReason, retries, attemptsBefore, suspicions, crashes, snoozeError } = status;
  // That it was claimed is not in the line, and it let go of its key then.
  const wasClaimed = uniqueWhile === 'queued' && status.claim !== undefined && !isEnd(state);
  const keyFreed = wasClaimed || status.keyFreed;
  return {
    id,
    name,
    queue,
    state,
    priority,
    enqueuedAt,
    durability,
    maxAttempts,
    timeoutMs,
    deadlineAt,
    payloadVersion,
    concurrencyKey,
    schedule,
    scheduledFor,
    uniqueKey,
    uniqueWhile,
    keyFreed,
    flow,
    isParent,
    parents,
    onParentFailure,
    attempt,
    snoozes,
    runAt,
    startedAt,
    finishedAt,
    cancelReason,
    retries,
    attemptsBefore,
    suspicions,
    crashes,
    ...fieldOf('payload', spec.payload),
    ...(result && fieldOf('result', result)),
    ...(failure && fieldOf('failure', failure)),
    ...(snoozeError && fieldOf('snoozeError', snoozeError)),
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

/** `undefined`, which JSON has not, is a field that is absent. */
function fieldOf(name: string, bytes: Uint8Array): Fields {
  const base64 = (): Fields => ({ [`${name}Base64`]: Buffer.from(bytes).toString('base64') });
  // To find that out of an image's bytes JSON would take seconds.
  if (bytes.byteLength > MAX_TRIED_BYTES && isRich(bytes)) return base64();
  const value = decode(bytes);
  if (value === undefined) return {};
  return isKeptByJson(value) ? { [name]: value } : base64();
}

function isKeptByJson(value: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value);
  } catch {
    return false; // It has no word for a bigint.
  }
}

/** The checkpoint that a line's job has. @throws MillraceError as {@link jobOf} does */
export function checkpointOf(line: Fields): Uint8Array | undefined {
  if (line['checkpoint'] === undefined && line['checkpointBase64'] === undefined) return undefined;
  return bytesOf(line, 'checkpoint');
}

/**
 * @param sequence The job's own in its new journal.
 * @throws MillraceError that says what was expected, and what came.
 */
export function jobOf(line: Fields, sequence: number): Job {
  const { id, name, queue, state, priority, enqueuedAt, durability, maxAttempts, timeoutMs, ...others } =
    line;
  const {
    deadlineAt,
    payloadVersion,
    concurrencyKey,
    schedule,
    scheduledFor,
    uniqueKey,
    uniqueWhile,
    flow,
    isParent,
    parents,
    onParentFailure,
    ...rest
  } = others;
  const spec: Draft<JobSpec> = {
    id: checkText(id, 'id'),
    name: checkName(name, 'name'),
    queue: checkName(queue, 'queue'),
    priority: integer(priority, 'priority', MIN_PRIORITY, MAX_PRIORITY),
    sequence,
    enqueuedAt: integer(enqueuedAt, 'enqueuedAt', 0),
    durability: oneOf(durability, 'durability', DURABILITIES),
    payload: bytesOf(rest, 'payload'),
  };
  if (maxAttempts !== undefined) spec.maxAttempts = integer(maxAttempts, 'maxAttempts', 1);
  if (timeoutMs !== undefined) spec.timeoutMs = integer(timeoutMs, 'timeoutMs', 1);
  if (deadlineAt !== undefined) spec.deadlineAt = integer(deadlineAt, 'deadlineAt', 0, LAST_INSTANT);
  if (payloadVersion !== undefined) spec.payloadVersion = integer(payloadVersion, 'payloadVersion', 1);
  if (concurrencyKey !== undefined) spec.concurrencyKey = checkText(concurrencyKey, 'concurrencyKey');
  if (schedule !== undefined) spec.schedule = checkName(schedule, 'schedule');
  if ((schedule === undefined) !== (scheduledFor === undefined))
    throw invalidOption('scheduledFor', 'present where `schedule` is, and only there', scheduledFor);
  if (scheduledFor !== undefined) spec.scheduledFor = integer(scheduledFor, 'scheduledFor', 0);
  if ((uniqueKey === undefined) !== (uniqueWhile === undefined))
    throw invalidOption('uniqueWhile', 'present where `uniqueKey` is, and only there', uniqueWhile);
  if (uniqueKey !== undefined) spec.uniqueKey = checkText(uniqueKey, 'uniqueKey');
  if (uniqueWhile !== undefined) spec.uniqueWhile = uniqueWhileOf(uniqueWhile);
  Object.assign(spec, flowOf({ flow, isParent, parents, onParentFailure }));
  return { spec, status: statusOf(rest, stateOf(state, spec)) };
}

/** What a job of a flow has. */
function flowOf({ flow, isParent, parents, onParentFailure }: Fields): Partial<JobSpec> {
  const own: Draft<Partial<JobSpec>> = {};
  if (flow !== undefined) own.flow = checkName(flow, 'flow');
  const isOdd = flow === undefined && [isParent, parents, onParentFailure].some((one) => one !== undefined);
  if (isOdd) throw invalidOption('flow', 'present where `isParent`, `parents` or `onParentFailure` is', flow);
  if (isParent !== undefined) own.isParent = oneOf(isParent, 'isParent', [true]);
  if (onParentFailure !== undefined)
    own.onParentFailure = oneOf(onParentFailure, 'onParentFailure', ON_PARENT_FAILURE);
  if (parents === undefined) return own;
  const ids = Object.entries(record(parents, 'parents')).map(
    ([key, id]) => [checkName(key, 'parents'), checkText(id, 'id')] as const,
  );
  own.parents = Object.fromEntries(ids);
  return own;
}

function stateOf(value: unknown, { parents }: JobSpec): JobState {
  const state = oneOf(value, 'state', STATES);
  if (state !== 'waiting' || parents) return state;
  throw invalidOption('parents', 'present in a job that is waiting', parents);
}

function statusOf(line: Fields, state: JobState): JobStatus {
  const {
    attempt,
    snoozes,
    snoozeError,
    snoozeErrorBase64,
    runAt,
    startedAt,
    finishedAt,
    suspicions,
    crashes,
    result,
    resultBase64,
    keyFreed,
    errors,
    cancelReason,
    retries,
    attemptsBefore,
    failure,
    failureBase64,
    checkpoint,
    checkpointBase64,
    payload: _payload,
    payloadBase64: _payloadBase64,
    ...rest
  } = line;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw invalidOption(unknown, 'absent: no job has such a field', rest[unknown]);
  const status: Draft<JobStatus> = { state, attempt: integer(attempt, 'attempt', 0, MAX_ATTEMPT) };
  if (snoozes !== undefined) status.snoozes = integer(snoozes, 'snoozes', 1);
  if ((snoozeError ?? snoozeErrorBase64) !== undefined) {
    if (snoozes === undefined) throw invalidOption('snoozeError', 'absent where `snoozes` is', snoozeError);
    status.snoozeError = errorIn(line, 'snoozeError');
  }
  const isDue = state === 'scheduled' || state === 'retryable';
  if (isPresent(runAt, 'runAt', isDue, state)) status.runAt = integer(runAt, 'runAt', 0);
  if (startedAt !== undefined) status.startedAt = integer(startedAt, 'startedAt', 0);
  if (isPresent(finishedAt, 'finishedAt', isEnd(state), state))
    status.finishedAt = integer(finishedAt, 'finishedAt', 0);
  if (state === 'completed') status.result = bytesOf(line, 'result');
  else isPresent(result ?? resultBase64, 'result', false, state);
  if (suspicions !== undefined && isPresent(suspicions, 'suspicions', !isEnd(state), state))
    status.suspicions = integer(suspicions, 'suspicions', 1, ALONE_FROM);
  if (crashes !== undefined) status.crashes = integer(crashes, 'crashes', 1);
  if (keyFreed !== undefined) status.keyFreed = boolean(keyFreed, 'keyFreed');
  if (errors !== undefined) status.errors = errorsOf(errors);
  if (cancelReason !== undefined && isPresent(cancelReason, 'cancelReason', state === 'cancelled', state))
    status.cancelReason = checkReason(cancelReason, 'cancelReason');
  if ((retries === undefined) !== (attemptsBefore === undefined))
    throw invalidOption('attemptsBefore', 'present where `retries` is, and only there', attemptsBefore);
  if (retries !== undefined) {
    status.retries = integer(retries, 'retries', 1, MAX_ATTEMPT);
    status.attemptsBefore = integer(attemptsBefore, 'attemptsBefore', 0, status.attempt);
  }
  if (checkpoint !== undefined || checkpointBase64 !== undefined) {
    // Nothing is to be resumed of a job that has completed.
    if (state === 'completed') isPresent(checkpoint ?? checkpointBase64, 'checkpoint', false, state);
    status.hasCheckpoint = true;
  }
  if ((failure ?? failureBase64) === undefined) return status;
  isPresent(failure ?? failureBase64, 'failure', state === 'failed', state);
  status.failure = errorIn(line, 'failure');
  return status;
}

/** A field that is there in some states, and only in those. */
function isPresent(value: unknown, field: string, isExpected: boolean, state: JobState): boolean {
  if ((value !== undefined) === isExpected) return isExpected;
  throw invalidOption(field, `${isExpected ? 'present' : 'absent'} in a job that is ${state}`, value);
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

function errorIn(line: Fields, name: string, within?: string): Uint8Array {
  const bytes = bytesOf(line, name, within);
  if (isErrorData(decode(bytes))) return bytes;
  const field = within === undefined ? name : `${within}.${name}`;
  throw invalidOption(field, 'an error with a name and a message', line[name]);
}

function bytesOf(line: Fields, name: string, within?: string): Uint8Array {
  const [value, base64] = [line[name], line[`${name}Base64`]];
  const field = within === undefined ? name : `${within}.${name}`;
  if (base64 === undefined) return encode(value, field, 'MILLRACE_IMPORT_INVALID');
  if (value !== undefined) throw invalidOption(field, `absent where \`${field}Base64\` is given`, value);
  const bytes = bytesIn(base64, `${field}Base64`);
  // Whoever made them: nothing gets into a journal but what a handler can be given.
  encode(decoded(bytes, `${field}Base64`), field, 'MILLRACE_IMPORT_INVALID');
  return bytes;
}

function bytesIn(base64: unknown, field: string): Uint8Array {
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
  if (bytes?.toString('base64') === base64 && bytes?.length) return bytes;
  throw invalidOption(field, 'base64', base64);
}

function decoded(bytes: Uint8Array, field: string): unknown {
  try {
    return decode(bytes);
  } catch (thrown) {
    throw new MillraceError(
      'MILLRACE_IMPORT_INVALID',
      `Expected \`${field}\` to be what an export writes: ${asError(thrown).message}`,
      { cause: thrown },
    );
  }
}

export function record(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(field, 'an object', value);
  // Safe: it is an object.
  return value as Fields;
}

export function integer(value: unknown, field: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidOption(field, `an integer from ${min} to ${max}`, value);
}

function uniqueWhileOf(value: unknown): UniqueWhile {
  return typeof value === 'number'
    ? integer(value, 'uniqueWhile', 1)
    : oneOf(value, 'uniqueWhile', UNIQUE_STATES);
}

function oneOf<Value>(value: unknown, field: string, allowed: readonly Value[]): Value {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw invalidOption(field, allowed.join(' or '), value);
}
