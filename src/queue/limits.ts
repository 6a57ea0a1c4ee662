/** How many jobs run at once per queue and per job type, against what is allowed. */
export class Limits {
  readonly #max: ReadonlyMap<string, number>;
  readonly #running = new Map<string, number>();

  /** @param max Infinity, or absent, where there is no limit. */
  constructor(max: ReadonlyMap<string, number>) {
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
    this.#running.set(key, (this.#running.get(key) ?? 0) - 1);
  }
}
