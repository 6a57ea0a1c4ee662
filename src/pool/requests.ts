/** What handlers have asked for and wait for: in one attempt, and over the port of a thread. */
import type { MillraceError } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import type { JobRequest } from './contract.js';
import type { EngineMessage, TaskRef, ThreadMessage } from './protocol.js';
import { ownBytes } from './wire.js';

/** The replies that one attempt waits for. */
export class AwaitedReplies {
  readonly #stops = new Set<(reason: MillraceError) => void>();

  /** @returns the reply; or it rejects with why the attempt is stopped, where that comes first. */
  add(reply: Promise<unknown>): Promise<unknown> {
    const awaited = new Promise((resolve, reject) => {
      const stop = (reason: MillraceError): void => {
        // A handler that did not await it is stopped, too, and must not be blamed for that.
        awaited.catch(() => {});
        reject(reason);
      };
      this.#stops.add(stop);
      void reply.then(resolve, reject).finally(() => this.#stops.delete(stop));
    });
    return awaited;
  }

  /** The attempt is stopped: whatever is replied, it counts for nothing. */
  stop(reason: MillraceError): void {
    for (const stop of this.#stops) stop(reason);
    this.#stops.clear();
  }
}

interface Asked {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The requests of a thread, by their numbers. Each gets a reply, or a refusal, as long as the thread lives. */
export class ThreadRequests {
  readonly #send: (message: ThreadMessage) => void;
  readonly #asked = new Map<number, Asked>();
  #made = 0;

  constructor(send: (message: ThreadMessage) => void) {
    this.#send = send;
  }

  ask(of: TaskRef, request: JobRequest): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const number = ++this.#made;
      this.#send({ kind: 'request', of, number, request: compact(request) });
      this.#asked.set(number, { resolve, reject });
    });
  }

  replied(message: Exclude<EngineMessage, { kind: 'stop' }>): void {
    const asked = this.#asked.get(message.number);
    this.#asked.delete(message.number);
    if (message.kind === 'reply') asked?.resolve(message.value);
    else asked?.reject(fromErrorData(decodeError(message.error)));
  }
}

/** What crosses takes its whole buffer along, which encoded values share with others; and the engine keeps it. */
function compact(request: JobRequest): JobRequest {
  if (request.kind === 'checkpoint') return { ...request, value: ownBytes(request.value) };
  if (request.kind === 'parentResults') return request;
  const { payload, options } = request;
  return { ...request, payload: ownBytes(payload), options: options && ownBytes(options) };
}
