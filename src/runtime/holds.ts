/**
 * Jobs, or schedules, that somebody is changing: who reads, decides and commits holds what that is about, and nobody else
 * may claim, promote or change it in between.
 */
export class Holds {
  readonly #held = new Map<string, Promise<void>>();

  has(id: string): boolean {
    return this.#held.size > 0 && this.#held.has(id);
  }

  /** Resolves once nobody holds the job. */
  async free(id: string): Promise<void> {
    while (this.#held.has(id)) await this.#held.get(id);
  }

  /** To be called while nobody holds the job. */
  hold<Value>(id: string, work: () => Promise<Value>): Promise<Value> {
    return this.holdAll([id], work);
  }

  /** To be called while nobody holds any of them. */
  async holdAll<Value>(ids: readonly string[], work: () => Promise<Value>): Promise<Value> {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    // Before the work begins, which may call somebody who wants to hold one, too.
    for (const id of ids) this.#held.set(id, released);
    try {
      return await work();
    } finally {
      for (const id of ids) this.#held.delete(id);
      release();
    }
  }
}
