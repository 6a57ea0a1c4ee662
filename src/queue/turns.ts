/**
 * Whose turn it is among lines that are served one job at a time. Each goes to the end once it had its turn. One that
 * comes new waits for none that had a turn since, or it would wait the longer the more there are; the others get every
 * other turn meanwhile, so that they are served however many come new.
 */
export class Turns<Line> {
  /** Those that had no turn yet, and when they came. */
  readonly #fresh = new Map<Line, number>();
  /** The others, and when they had their last. */
  readonly #rest = new Map<Line, number>();
  #wasFresh = false;
  /** It passes with each turn, and each line that comes. */
  #time = 0;

  get size(): number {
    return this.#fresh.size + this.#rest.size;
  }

  has(line: Line): boolean {
    return this.#fresh.has(line) || this.#rest.has(line);
  }

  /** A line that had no turn since it has something. To be called only where it is not among them. */
  join(line: Line): void {
    this.#fresh.set(line, ++this.#time);
  }

  /** A line that had turns before, likewise. */
  rejoin(line: Line): void {
    this.#rest.set(line, ++this.#time);
  }

  leave(line: Line): void {
    this.#fresh.delete(line);
    this.#rest.delete(line);
  }

  clear(): void {
    this.#fresh.clear();
    this.#rest.clear();
  }

  /** The lines, the one whose turn it is first. Whoever is told of one may let it leave. */
  *[Symbol.iterator](): Iterator<Line> {
    const isFresh = this.#isFreshNext();
    yield* (isFresh ? this.#fresh : this.#rest).keys();
    yield* (isFresh ? this.#rest : this.#fresh).keys();
  }

  /** It had its turn. */
  served(line: Line): void {
    this.#wasFresh = this.#fresh.has(line);
    this.leave(line);
    this.#rest.set(line, ++this.#time);
  }

  #isFreshNext(): boolean {
    const [came = Infinity] = this.#fresh.values();
    const [served = Infinity] = this.#rest.values();
    return served > came || !this.#wasFresh;
  }
}
