/** Progress on its way to one reader. A reader that falls far behind misses the oldest values, never the last. */
const MAX_PENDING = 1_000;

export class ProgressQueue implements AsyncIterable<Uint8Array> {
  readonly #pending: Uint8Array[] = [];
  #hasEnded = false;
  #wake: () => void = () => {};

  push(value: Uint8Array): void {
    if (this.#pending.length === MAX_PENDING) this.#pending.shift();
    this.#pending.push(value);
    this.#wake();
  }

  end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      for (let next = this.#pending.shift(); next; next = this.#pending.shift()) yield next;
      if (this.#hasEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
