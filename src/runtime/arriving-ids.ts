/**
 * Ids that callers chose, and unique keys, whose jobs are on their way into the journal: one at a time brings in a job of
 * an id or a key, in the order of the calls.
 */
export class ArrivingIds {
  /** Who comes last, by id or key: it never rejects. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** Looks whether the ids are new, and brings in their jobs, while nobody else does. */
  async alone<Value>(ids: readonly string[], bringIn: () => Promise<Value>): Promise<Value> {
    const before = ids.flatMap((id) => this.#last.get(id) ?? []);
    // Whether those before us made the job shows in the journal; their errors are their callers'.
    const arriving = before.length === 0 ? bringIn() : Promise.all(before).then(bringIn);
    const over = arriving.catch(() => {});
    for (const id of ids) this.#last.set(id, over);
    try {
      return await arriving;
    } finally {
      for (const id of ids) if (this.#last.get(id) === over) this.#last.delete(id);
    }
  }
}
