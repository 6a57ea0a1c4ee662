/** Progress on its way to one reader. A reader that falls far behind misses the oldest values, never the last. */
import { decode } from '../job/codec.js';

const MAX_PENDING = 1_000;

export interface ProgressLinks {
  /** The reader asks for the first time: from now on it is told. Rejects where there is nothing to be told of. */
  readonly begin: () => Promise<void>;
  /** It is to be told no more. */
  readonly leave: () => void;
}

interface Reader {
  readonly resolve: (value: Uint8Array | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Not a generator: one that waits for a value cannot be left before that has come. */
export class ProgressQueue implements AsyncIterableIterator<unknown, undefined> {
  readonly #links: ProgressLinks;
  readonly #pending: Uint8Array[] = [];
  readonly #readers: Reader[] = [];
  #begun: Promise<void> | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #hasEnded = false;

  constructor(links: ProgressLinks) {
    this.#links = links;
  }

  push(value: Uint8Array): void {
    const reader = this.#readers.shift();
    if (reader) {
      reader.resolve(value);
      return;
    }
    if (this.#pending.length === MAX_PENDING) this.#pending.shift();
    this.#pending.push(value);
  }

  /** What has been told so far can be read. */
  end(): void {
    this.#hasEnded = true;
    this.#links.leave();
    for (const reader of this.#readers.splice(0)) reader.resolve(undefined);
  }

  /** Nothing more can be read. */
  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#links.leave();
    for (const reader of this.#readers.splice(0)) reader.reject(reason);
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.#hasEnded) await this.#begin();
    const bytes = await this.#take();
    return bytes ? { done: false, value: decode(bytes) } : { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<unknown, undefined>> {
    this.#pending.length = 0;
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #begin(): Promise<void> {
    this.#begun ??= this.#links.begin().catch((thrown: unknown) => this.fail(thrown));
    return this.#begun;
  }

  async #take(): Promise<Uint8Array | undefined> {
    if (this.#failure) throw this.#failure.reason;
    const bytes = this.#pending.shift();
    if (bytes || this.#hasEnded) return bytes;
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
  }
}
