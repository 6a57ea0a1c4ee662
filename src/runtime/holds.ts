/**
 * Jobs whose state somebody is changing outside of an attempt: a cancel reads, decides and commits, and nothing
 * else may claim or promote the job in between.
 */
export class Holds {
  readonly #held = new Map<string, Promise<unknown>>();

  has(id: string): boolean {
    return this.#held.size > 0 && this.#held.has(id);
  }

  /** Resolves once nobody holds the job. */
  async free(id: string): Promise<void> {
    // What the holder came to is the holder's to tell.
    while (this.#held.has(id)) await this.#held.get(id)?.catch(() => {});
  }

  /** To be called while nobody holds the job. */
  async hold<Value>(id: string, work: () => Promise<Value>): Promise<Value> {
    const held = work();
    this.#held.set(id, held);
    try {
      return await held;
    } finally {
      this.#held.delete(id);
    }
  }
}
