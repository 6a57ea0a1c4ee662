/** Tasks and answers on their way to a thread and back: one buffer for a chunk, handed over instead of copied. */
import { Packr } from 'msgpackr/pack';
import type { Answer } from './answer.js';
import type { Task } from './contract.js';
import type { ThreadTask } from './protocol.js';

const packr = new Packr({ useRecords: false, moreTypes: false });

export function encodeTasks(tasks: readonly Task[]): Uint8Array<ArrayBuffer> {
  return ownBytes(packr.pack(tasks.map(({ graceMs: _engineOnly, ...task }) => task)));
}
/** The casts are safe: both sides are of the same version of this file. */
export const decodeTasks = (bytes: Uint8Array): ThreadTask[] => packr.unpack(bytes) as ThreadTask[];
export const encodeAnswers = (answers: readonly Answer[]): Uint8Array<ArrayBuffer> =>
  ownBytes(packr.pack(answers));
export const decodeAnswers = (bytes: Uint8Array): Answer[] => packr.unpack(bytes) as Answer[];

/** msgpackr packs into a buffer that it goes on using; a buffer to hand over must be its own. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
