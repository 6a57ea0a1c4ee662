/**
 * The windows of the rate limits that each concurrency key has for itself. There is no end of keys: so those in which
 * nothing counts any more are forgotten, here and in the journal, faster than others can come; while nothing starts, they
 * stay.
 */
import type { RatePolicy } from '../job/rate-limit.js';
import { typeOf } from '../journal/keys.js';
import { RateWindow, type RateRecord } from '../queue/rate-window.js';

export class KeyRates {
  /** By job type. */
  readonly #policies: ReadonlyMap<string, RatePolicy>;
  /** By job type and lane; of a type's, those of which something began last are at the end: they count for longest. */
  readonly #windows = new Map<string, Map<string, RateWindow>>();

  constructor(policies: ReadonlyMap<string, RatePolicy>) {
    this.#policies = policies;
    for (const name of policies.keys()) this.#windows.set(name, new Map());
  }

  limits(name: string): boolean {
    return this.#policies.has(name);
  }

  /** How long until one more of the key may start. @param lane Of the key; `type~key`. */
  delayMs(lane: string, now: number): number {
    return this.#windows.get(typeOf(lane))?.get(lane)?.delayMs(now) ?? 0;
  }

  /** The window in which a start of the key is to count. @returns nothing where the type has no such limit. */
  windowOf(lane: string): RateWindow | undefined {
    const name = typeOf(lane);
    const policy = this.#policies.get(name);
    const windows = this.#windows.get(name);
    if (!policy || !windows) return undefined;
    let window = windows.get(lane);
    if (!window) {
      window = new RateWindow(policy);
      windows.set(lane, window);
    }
    return window;
  }

  /** Something of the key has just begun. */
  began(lane: string): void {
    const windows = this.#windows.get(typeOf(lane));
    const window = windows?.get(lane);
    if (!windows || !window) return;
    windows.delete(lane);
    windows.set(lane, window);
  }

  /**
   * Takes what an earlier process left of some keys; {@link order} is to be called behind the last of them.
   * @param kept By lane; nothing where the record is damaged.
   * @param keptAt By when that had all started; nothing where that is not known.
   * @returns the lanes whose records are of no more use.
   */
  restore(
    kept: readonly (readonly [lane: string, record: RateRecord | undefined])[],
    keptAt: number | undefined,
    now: number,
  ): string[] {
    const over: string[] = [];
    for (const [lane, record] of kept) {
      const name = typeOf(lane);
      const policy = this.#policies.get(name);
      const window = policy && RateWindow.restored(policy, record, keptAt, now);
      if (window && window.countsForMs(now) > 0) this.#windows.get(name)?.set(lane, window);
      else over.push(lane);
    }
    return over;
  }

  /** All that was left is here: once, for there may be very many. */
  order(now: number): void {
    for (const [name, windows] of this.#windows) this.#windows.set(name, inOrder(windows, now));
  }

  /** What a key was to start was given back, and nothing else counts. */
  drop(lane: string): void {
    this.#windows.get(typeOf(lane))?.delete(lane);
  }

  /** Forgets windows in which nothing counts any more, up to a number. @returns their lanes. */
  forget(limit: number, now: number): string[] {
    const forgotten: string[] = [];
    for (const windows of this.#windows.values()) {
      const starting: (readonly [string, RateWindow])[] = [];
      for (const [lane, window] of windows) {
        const forMs = window.countsForMs(now);
        if (forgotten.length >= limit || (forMs > 0 && forMs < Infinity)) break;
        windows.delete(lane);
        if (forMs === 0) forgotten.push(lane);
        else starting.push([lane, window]);
      }
      // They are about to begin, which may take a while; meanwhile they must not be in the way of the others.
      for (const [lane, window] of starting) windows.set(lane, window);
    }
    return forgotten;
  }
}

function inOrder(windows: ReadonlyMap<string, RateWindow>, now: number): Map<string, RateWindow> {
  const counting = [...windows].map(([lane, window]) => ({
    lane,
    window,
    ms: window.countsForMs(now),
  }));
  counting.sort((a, b) => a.ms - b.ms);
  return new Map(counting.map(({ lane, window }) => [lane, window]));
}
