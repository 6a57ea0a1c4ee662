/** Ids that callers chose and whose jobs are on their way into the journal: one at a time brings in a job of an id. */
export class ArrivingIds {
  readonly #arriving = new Map<string, Promise<unknown>>();

  /** Looks whether the ids are new, and brings in their jobs, while nobody else does. */
  async alone<Value>(ids: readonly string[], bringIn: () => Promise<Value>): Promise<Value> {
    // Whether the one before us made the job shows in the journal; its error is its caller's.
    for (let busy = this.#busy(ids); busy; busy = this.#busy(ids)) await busy.catch(() => {});
    const arriving = bringIn();
    for (const id of ids) this.#arriving.set(id, arriving);
    try {
      return await arriving;
    } finally {
      for (const id of ids) this.#arriving.delete(id);
    }
  }

  #busy(ids: readonly string[]): Promise<unknown> | undefined {
    const id = ids.find((one) => this.#arriving.has(one));
    return id === undefined ? undefined : this.#arriving.get(id);
  }
}
