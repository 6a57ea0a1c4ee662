/** Where a task's payload comes from: with the task, or, where it is large, from its file, which the thread reads itself. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { asError, type MillraceError } from '../errors.js';
import { isPayloadLost, payloadIn, payloadUnread, type LocatedPayload } from '../job/payload-file.js';

/** Thrown before a handler begins: its payload is gone, and no other attempt will find it. */
export class PayloadLost extends Error {
  override readonly cause: MillraceError;

  constructor(cause: MillraceError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** In a thread, which has nothing else to do. @throws PayloadLost */
export function readPayloadSync(file: LocatedPayload): Uint8Array {
  try {
    return payloadIn(file, readFileSync(file.path));
  } catch (thrown) {
    throw lostOr(file, thrown);
  }
}

/** On the event loop. @throws PayloadLost */
export async function readPayload(file: LocatedPayload): Promise<Uint8Array> {
  try {
    return payloadIn(file, await readFile(file.path));
  } catch (thrown) {
    throw lostOr(file, thrown);
  }
}

function lostOr(file: LocatedPayload, thrown: unknown): Error {
  const error = payloadUnread(file, thrown);
  return isPayloadLost(error) ? new PayloadLost(error) : asError(error);
}
