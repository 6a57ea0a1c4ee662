/** Whoever waits until no job is available or running, and the event that says so. */
import type { MillraceError } from '../errors.js';

export interface DrainLinks {
  /** Whether a job is available or running, as far as the journal knows. */
  readonly isActive: () => boolean;
  /** Called each time that nothing is left. */
  readonly onDrained: () => void;
}

interface Waiter {
  resolve(): void;
  reject(error: MillraceError): void;
}

export class Drain {
  readonly #links: DrainLinks;
  #waiters: Waiter[] = [];
  /** Whether there was anything since it was last drained. */
  #wasActive = false;

  constructor(links: DrainLinks) {
    this.#links = links;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** A job is available or running, or may be. */
  notice(isActive = this.#links.isActive()): void {
    this.#wasActive ||= isActive;
  }

  wait(): Promise<void> {
    if (!this.#links.isActive()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Nothing can be started now. @param isIdle Whether nothing is claimed, running or settling. */
  check(isIdle: boolean): void {
    // Somebody can wait where there was no job, but perhaps jobs to be told of an end.
    const isAwaited = this.#wasActive || this.#waiters.length > 0;
    if (!isAwaited || !isIdle || this.#links.isActive()) return;
    if (this.#wasActive) this.#links.onDrained();
    this.#wasActive = false;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** Nobody will hear of it any more. */
  close(error: MillraceError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}
