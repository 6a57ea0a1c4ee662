/**
 * How many ended jobs of a lane are held by their flows, which have jobs that have not ended: by flow, so that they are
 * free in one go. A flow that is here once stays here until somebody says that it has ended.
 */

/** Of how many flows the jobs are told apart, so that memory does not grow with the number of flows. */
const MAX_FLOWS = 50_000;

export class HeldCount {
  readonly #flows = new Map<string, number>();
  readonly #maxFlows: number;
  #held = 0;
  #rough = 0;
  #closed = 0;

  constructor(maxFlows = MAX_FLOWS) {
    this.#maxFlows = maxFlows;
  }

  /** All that are not to go yet. */
  get total(): number {
    return this.#held + this.#rough + this.#closed;
  }

  /** Whether jobs are held of which it is not known by what flow. */
  get isRough(): boolean {
    return this.#rough > 0;
  }

  /** Whether flows have ended whose jobs were not admitted. */
  get hasClosed(): boolean {
    return this.#closed > 0;
  }

  has(flow: string): boolean {
    return this.#flows.has(flow);
  }

  /** A job of a flow has ended that is open, or was a moment ago. */
  came(flow: string): void {
    const count = this.#flows.get(flow);
    if (count === undefined && this.#flows.size >= this.#maxFlows) {
      this.#rough++;
      return;
    }
    this.#flows.set(flow, (count ?? 0) + 1);
    this.#held++;
  }

  left(flow: string): void {
    const count = this.#flows.get(flow);
    if (count === undefined) return;
    if (count > 1) this.#flows.set(flow, count - 1);
    else this.#flows.delete(flow);
    this.#held--;
  }

  /** A flow has ended. @returns whether jobs of it were held. */
  close(flow: string): boolean {
    const count = this.#flows.get(flow);
    if (count === undefined) return false;
    this.#flows.delete(flow);
    this.#held -= count;
    this.#closed += count;
    return true;
  }

  /** The jobs of flows that have ended are free from here on. */
  admit(): void {
    this.#closed = 0;
  }

  clear(): void {
    this.#flows.clear();
    this.#held = 0;
    this.#rough = 0;
    this.#closed = 0;
  }
}
