/** Tasks and answers on their way to a thread and back: one buffer for a chunk, handed over instead of copied. */
import { Packr } from 'msgpackr/pack';
import type { Answer } from './answer.js';
import type { Task } from './contract.js';
import type { ThreadTask } from './protocol.js';

const packr = new Packr({ useRecords: false, moreTypes: false });

/** Tuples instead of objects, for the names of the fields would take longer than their values. */
type TaskTuple = readonly [
  id: string,
  name: string,
  queue: string,
  attempt: number,
  maxAttempts: number,
  payload: Uint8Array,
  timeoutMs: number | undefined,
];

export function encodeTasks(tasks: readonly Task[]): Uint8Array<ArrayBuffer> {
  return ownBytes(
    packr.pack(
      tasks.map(({ id, name, queue, attempt, maxAttempts, payload, timeoutMs }): TaskTuple => [
        id,
        name,
        queue,
        attempt,
        maxAttempts,
        payload,
        timeoutMs,
      ]),
    ),
  );
}

export function decodeTasks(bytes: Uint8Array): ThreadTask[] {
  // The casts here are safe: both sides are of the same version of this file.
  const tuples = packr.unpack(bytes) as TaskTuple[];
  return tuples.map(([id, name, queue, attempt, maxAttempts, payload, timeoutMs]) => ({
    id,
    name,
    queue,
    attempt,
    maxAttempts,
    payload,
    ...(timeoutMs !== undefined && { timeoutMs }),
  }));
}

/** An answer, and how long its task took. */
export interface Timed {
  readonly answer: Answer;
  readonly tookMs: number;
}

export const encodeAnswers = (answers: readonly Timed[]): Uint8Array<ArrayBuffer> =>
  ownBytes(packr.pack([answers.map(({ answer }) => answer), answers.map(({ tookMs }) => tookMs)]));

export function decodeAnswers(bytes: Uint8Array): { answers: Answer[]; tookMs: number[] } {
  const [answers, tookMs] = packr.unpack(bytes) as [Answer[], number[]];
  return { answers, tookMs };
}

/** msgpackr packs into a buffer that it goes on using; a buffer to hand over must be its own. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
