/** Why schedules are to be looked after although they are not due: jobs of theirs that ended, a clock that was set back. */
import type { EndedRun } from '../schedule/record.js';
import type { Occasion } from './ticker.js';

export class Occasions {
  readonly #endedRuns = new Map<string, readonly EndedRun[]>();
  #leftBehind = new Set<string>();

  clear(): void {
    this.#endedRuns.clear();
    this.#leftBehind.clear();
  }

  /** A job of a schedule has ended. */
  ended(name: string, run: EndedRun): void {
    this.#endedRuns.set(name, [...(this.#endedRuns.get(name) ?? []), run]);
  }

  /** The clock was set back, and these schedules do not wait until it is where it was. */
  leftBehind(names: readonly string[]): void {
    this.#leftBehind = new Set(names);
  }

  /** Of which schedules there are any. */
  names(): Iterable<string> {
    return [...this.#endedRuns.keys(), ...this.#leftBehind];
  }

  take(name: string): Occasion {
    const runs = this.#endedRuns.get(name) ?? [];
    this.#endedRuns.delete(name);
    return { runs, isLeftBehind: this.#leftBehind.delete(name) };
  }

  /** Nothing has come of it. */
  giveBack(name: string, { runs, isLeftBehind }: Occasion): void {
    if (runs.length > 0) this.#endedRuns.set(name, [...runs, ...(this.#endedRuns.get(name) ?? [])]);
    if (isLeftBehind) this.#leftBehind.add(name);
  }
}
