/**
 * Specs and statuses as bytes. What every job has lies at fixed places, so that writing a record costs little more
 * than copying it; what few jobs have follows as MessagePack, by its name. A record begins with room for the checksum
 * of whoever stores it.
 */
import { MillraceError } from '../errors.js';
import { namesOf } from './names.js';
import { pack, unpack } from './packer.js';
import { JOB_STATES, type AttemptRecord, type Draft, type JobSpec, type JobStatus } from './record.js';

/** How much room a record begins with. */
export const CHECKSUM_BYTES = 4;

/** What few jobs have: an absent one takes no room, and a new one means nothing to the records that are there. */
type RareSpec = Omit<
  JobSpec,
  'id' | 'name' | 'queue' | 'priority' | 'sequence' | 'enqueuedAt' | 'durability' | 'payload'
>;
type RareStatus = Omit<JobStatus, 'state' | 'attempt' | 'claim' | 'startedAt' | 'finishedAt' | 'result'>;

/** The fields are stored under these names, so none of them is ever used again for something else. */
const RARE_SPEC = new Set(
  namesOf<RareSpec>({
    runAt: true,
    maxAttempts: true,
    timeoutMs: true,
    deadlineAt: true,
    payloadVersion: true,
    payloadFile: true,
    uniqueKey: true,
    uniqueWhile: true,
    concurrencyKey: true,
    schedule: true,
    scheduledFor: true,
    flow: true,
    isParent: true,
    parents: true,
    onParentFailure: true,
  }),
);
const RARE_STATUS = new Set(
  namesOf<RareStatus>({
    runAt: true,
    cancelRequestedAt: true,
    cancelReason: true,
    retries: true,
    attemptsBefore: true,
    suspicions: true,
    crashes: true,
    keyFreed: true,
    errors: true,
    failure: true,
    snoozes: true,
    snoozeError: true,
    hasCheckpoint: true,
    hasNotes: true,
  }),
);

/** Up to format 5 they had no names, but places. */
const PLACED_SPEC = ['runAt', 'maxAttempts', 'timeoutMs', 'schedule', 'scheduledFor'];
const PLACED_STATUS = ['runAt', 'cancelRequestedAt', 'errors'];
type PlacedAttempt = [attempt: number, startedAt: number, endedAt: number, error: Uint8Array];

const IS_SYNCED = 1;
const HAS_RARE = 2;
const HAS_RESULT = 4;

/*
 * Offsets. Behind those of a spec: name, queue, the length of its rare fields and those where it has them, payload.
 * Behind those of a status: the rare fields likewise, result. Numbers that are absent are NaN.
 */
const FLAGS = CHECKSUM_BYTES;
const PRIORITY = FLAGS + 1;
const SEQUENCE = PRIORITY + 2;
const ENQUEUED_AT = SEQUENCE + 8;
const NAME_LENGTH = ENQUEUED_AT + 8;
const QUEUE_LENGTH = NAME_LENGTH + 1;
const SPEC_HEAD = QUEUE_LENGTH + 1;

const STATE = FLAGS + 1;
const ATTEMPT = STATE + 1;
const CLAIM = ATTEMPT + 4;
const STARTED_AT = CLAIM + 8;
const FINISHED_AT = STARTED_AT + 8;
const STATUS_HEAD = FINISHED_AT + 8;

const LENGTH_BYTES = 4;

/** The id is the record's key and is not repeated in it. */
export function encodeSpec(spec: JobSpec): Uint8Array {
  const { name, queue, priority, sequence, enqueuedAt, durability, payload } = spec;
  const rare = packRare(spec, RARE_SPEC);
  const record = Buffer.allocUnsafe(
    SPEC_HEAD + name.length + queue.length + rareBytes(rare) + payload.byteLength,
  );
  record[FLAGS] = (durability === 'fsync' ? IS_SYNCED : 0) | (rare ? HAS_RARE : 0);
  record.writeInt16LE(priority, PRIORITY);
  record.writeDoubleLE(sequence, SEQUENCE);
  record.writeDoubleLE(enqueuedAt, ENQUEUED_AT);
  record[NAME_LENGTH] = name.length;
  record[QUEUE_LENGTH] = queue.length;
  let at = writeAscii(record, name, SPEC_HEAD);
  at = writeAscii(record, queue, at);
  at = writeRare(record, rare, at);
  record.set(payload, at);
  return record;
}

/** @param record Bytes whose checksum held: {@link encodeSpec} made them. */
export function decodeSpec(id: string, record: Uint8Array): JobSpec {
  const bytes = bufferOf(record);
  const flags = bytes.readUInt8(FLAGS);
  const queueAt = SPEC_HEAD + bytes.readUInt8(NAME_LENGTH);
  const rareAt = queueAt + bytes.readUInt8(QUEUE_LENGTH);
  const payloadAt = flags & HAS_RARE ? endOfRare(bytes, rareAt) : rareAt;
  if (payloadAt > record.byteLength) throw new RangeError(`The record of job ${id} ends before its payload`);
  const spec: Draft<JobSpec> = {
    id,
    name: bytes.toString('latin1', SPEC_HEAD, queueAt),
    queue: bytes.toString('latin1', queueAt, rareAt),
    priority: bytes.readInt16LE(PRIORITY),
    sequence: bytes.readDoubleLE(SEQUENCE),
    enqueuedAt: bytes.readDoubleLE(ENQUEUED_AT),
    durability: flags & IS_SYNCED ? 'fsync' : 'os',
    payload: record.subarray(payloadAt),
  };
  if (flags & HAS_RARE) Object.assign(spec, readRare(record, rareAt, payloadAt, PLACED_SPEC));
  return spec;
}

export function encodeStatus(status: JobStatus): Uint8Array {
  const { state, attempt, claim, startedAt, finishedAt, result } = status;
  const rare = packRare(status, RARE_STATUS);
  const record = Buffer.allocUnsafe(STATUS_HEAD + rareBytes(rare) + (result?.byteLength ?? 0));
  record[FLAGS] = (rare ? HAS_RARE : 0) | (result ? HAS_RESULT : 0);
  record[STATE] = JOB_STATES.indexOf(state);
  record.writeUInt32LE(attempt, ATTEMPT);
  record.writeDoubleLE(claim ?? NaN, CLAIM);
  record.writeDoubleLE(startedAt ?? NaN, STARTED_AT);
  record.writeDoubleLE(finishedAt ?? NaN, FINISHED_AT);
  const at = writeRare(record, rare, STATUS_HEAD);
  if (result) record.set(result, at);
  return record;
}

/** @param record Bytes whose checksum held: {@link encodeStatus} made them. */
export function decodeStatus(record: Uint8Array): JobStatus {
  const bytes = bufferOf(record);
  const flags = bytes.readUInt8(FLAGS);
  const number = bytes.readUInt8(STATE);
  const state = JOB_STATES[number];
  if (!state) throw new MillraceError('MILLRACE_JOURNAL_CORRUPT', `There is no job state ${number}`);
  const status: Draft<JobStatus> = { state, attempt: bytes.readUInt32LE(ATTEMPT) };
  const [claim, startedAt, finishedAt] = [CLAIM, STARTED_AT, FINISHED_AT].map((at) => bytes.readDoubleLE(at));
  if (isNumber(claim)) status.claim = claim;
  if (isNumber(startedAt)) status.startedAt = startedAt;
  if (isNumber(finishedAt)) status.finishedAt = finishedAt;
  const resultAt = flags & HAS_RARE ? endOfRare(bytes, STATUS_HEAD) : STATUS_HEAD;
  if (flags & HAS_RESULT) status.result = record.subarray(resultAt);
  if (flags & HAS_RARE) Object.assign(status, readRare(record, STATUS_HEAD, resultAt, PLACED_STATUS));
  return status;
}

function packRare<Record extends object>(
  record: Record,
  names: ReadonlySet<keyof Record & string>,
): Uint8Array | undefined {
  let rare: { [name: string]: unknown } | undefined;
  // By the fields that it has: to ask each record for all that it lacks takes three times as long.
  for (const name in record) {
    const value = record[name];
    if (value === undefined || !names.has(name)) continue;
    rare ??= {};
    rare[name] = value;
  }
  return rare && pack(rare);
}

const rareBytes = (rare: Uint8Array | undefined): number => (rare ? LENGTH_BYTES + rare.byteLength : 0);

/** @returns where the next part goes. */
function writeRare(record: Buffer, rare: Uint8Array | undefined, at: number): number {
  if (!rare) return at;
  record.writeUInt32LE(rare.byteLength, at);
  record.set(rare, at + LENGTH_BYTES);
  return at + rareBytes(rare);
}

const endOfRare = (bytes: Buffer, at: number): number => at + LENGTH_BYTES + bytes.readUInt32LE(at);

/** What {@link packRare} made of a record; safe for bytes whose checksum held. */
function readRare(record: Uint8Array, at: number, end: number, placed: readonly string[]): object {
  const rare = unpack(record.subarray(at + LENGTH_BYTES, end));
  return Array.isArray(rare) ? fromPlaces(rare, placed) : (rare as object);
}

function fromPlaces(values: readonly unknown[], names: readonly string[]): object {
  const present = names.flatMap((name, i) => {
    const value = values[i] ?? undefined;
    if (value === undefined) return [];
    // Safe: the records of those formats had nothing else there.
    return [[name, name === 'errors' ? (value as PlacedAttempt[]).map(attemptOf) : value] as const];
  });
  return Object.fromEntries(present);
}

function attemptOf([attempt, startedAt, endedAt, error]: PlacedAttempt): AttemptRecord {
  return { attempt, startedAt, endedAt, error };
}

/** Names are short and of ASCII characters (options.ts): a call out of JavaScript would take longer. */
function writeAscii(record: Uint8Array, text: string, at: number): number {
  for (let i = 0; i < text.length; i++) record[at + i] = text.charCodeAt(i);
  return at + text.length;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

const isNumber = (value: number | undefined): value is number => value !== undefined && !Number.isNaN(value);
