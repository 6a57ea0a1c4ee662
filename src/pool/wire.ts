/** Tasks, answers and parents' results on their way to a thread and back: one buffer for many, handed over instead of copied. */
import type { LocatedPayload } from '../job/payload-file.js';
import { pack, unpack } from '../job/packer.js';
import type { Draft } from '../job/record.js';
import type { Answer } from './answer.js';
import type { ParentResults, Task } from './contract.js';
import type { ThreadTask } from './protocol.js';

/** Tuples instead of objects, for the names of the fields would take longer than their values. */
type TaskTuple = readonly [
  id: string,
  name: string,
  queue: string,
  attempt: number,
  maxAttempts: number,
  payload: Uint8Array,
  timeoutMs: number | undefined,
  scheduledFor: number | undefined,
  payloadFile?: LocatedPayload | undefined,
  resumeFrom?: Uint8Array | undefined,
];

export function encodeTasks(tasks: readonly Task[]): Uint8Array<ArrayBuffer> {
  return ownBytes(pack(tasks.map(tupleOf)));
}

function tupleOf(task: Task): TaskTuple {
  const { id, name, queue, attempt, maxAttempts, payload, timeoutMs, scheduledFor } = task;
  const { payloadFile, resumeFrom } = task;
  return (payloadFile ?? resumeFrom)
    ? [id, name, queue, attempt, maxAttempts, payload, timeoutMs, scheduledFor, payloadFile, resumeFrom]
    : [id, name, queue, attempt, maxAttempts, payload, timeoutMs, scheduledFor];
}

export function decodeTasks(bytes: Uint8Array): ThreadTask[] {
  // The casts here are safe: both sides are of the same version of this file.
  const tuples = unpack(bytes) as TaskTuple[];
  return tuples.map((tuple) => {
    const [id, name, queue, attempt, maxAttempts, payload, timeoutMs, scheduledFor, ...rare] = tuple;
    const task: Draft<ThreadTask> = { id, name, queue, attempt, maxAttempts, payload };
    if (timeoutMs !== undefined) task.timeoutMs = timeoutMs;
    if (scheduledFor !== undefined) task.scheduledFor = scheduledFor;
    const [payloadFile, resumeFrom] = rare;
    if (payloadFile !== undefined) task.payloadFile = payloadFile;
    if (resumeFrom !== undefined) task.resumeFrom = resumeFrom;
    return task;
  });
}

/** An answer, and how long its task took. */
export type Timed = readonly [answer: Answer, tookMs: number];

export const encodeAnswers = (answers: readonly Timed[]): Uint8Array<ArrayBuffer> => ownBytes(pack(answers));
export const decodeAnswers = (bytes: Uint8Array): Timed[] => unpack(bytes) as Timed[];

export const encodeParentResults = (page: ParentResults): Uint8Array<ArrayBuffer> => ownBytes(pack(page));
/** The results are views of the bytes. Safe, as for tasks. */
export const decodeParentResults = (bytes: Uint8Array): ParentResults => unpack(bytes) as ParentResults;

/** A buffer that is handed over must be its own; a small value is a part of one that the packer goes on using. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes;
  const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
  return isOwn ? new Uint8Array(buffer) : new Uint8Array(bytes);
}
