/** How many jobs run at once per queue, per job type and per concurrency key, against what is allowed. */
export class Limits {
  readonly #max: Pick<ReadonlyMap<string, number>, 'get'>;
  /** Without those of which none runs, for there is no end of keys. */
  readonly #running = new Map<string, number>();

  /** @param max Infinity, or absent, where there is no limit. */
  constructor(max: Pick<ReadonlyMap<string, number>, 'get'>) {
    this.#max = max;
  }

  allows(key: string): boolean {
    return (this.#running.get(key) ?? 0) < (this.#max.get(key) ?? Infinity);
  }

  running(key: string): number {
    return this.#running.get(key) ?? 0;
  }

  /** Infinity where there is no limit. */
  max(key: string): number {
    return this.#max.get(key) ?? Infinity;
  }

  start(key: string): void {
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1);
  }

  end(key: string): void {
    const left = (this.#running.get(key) ?? 0) - 1;
    if (left > 0) this.#running.set(key, left);
    else this.#running.delete(key);
  }
}
