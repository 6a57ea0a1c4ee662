/** The rate limits of queues and job types: what they allow now, and what the journal keeps of them. */
import type { Clock } from '../clock.js';
import type { RatePolicy } from '../job/rate-limit.js';
import { pack, unpack } from '../job/packer.js';
import type { Journal } from '../journal/journal.js';
import type { Transaction } from '../journal/transaction.js';
import type { Settings } from '../options.js';
import { RateWindow, type Moment, type RateRecord } from '../queue/rate-window.js';

export interface RateLimitsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
}

/** An attempt that may start: it counts from when it was allowed, and as long as the windows say from its beginning. */
export interface Permit {
  /** It starts now, or never does. Once it has been called, calls do nothing. */
  begin(): void;
}

/** A limit that allows no start for a while. */
export interface RateWait {
  readonly by: 'queue' | 'type';
  /** Of the queue or the type. */
  readonly name: string;
  readonly delayMs: number;
}

/** A job's queue and type. */
interface Limited {
  readonly queue: string;
  readonly name: string;
}

const ofQueue = (queue: string): string => `q!${queue}`;
const ofType = (name: string): string => `t!${name}`;

export class RateLimits {
  readonly #links: RateLimitsLinks;
  readonly #policies: ReadonlyMap<string, RatePolicy>;
  readonly #windows = new Map<string, RateWindow>();
  /** By monotonic time. */
  #lookedAt = 0;

  private constructor(policies: ReadonlyMap<string, RatePolicy>, links: RateLimitsLinks) {
    this.#policies = policies;
    this.#links = links;
    for (const [key, policy] of policies) this.#windows.set(key, new RateWindow(policy));
  }

  /** @returns nothing where nothing is limited. */
  static of({ queues, types }: Settings, links: RateLimitsLinks): RateLimits | undefined {
    const policies = new Map<string, RatePolicy>();
    for (const { name, rateLimit } of queues.values()) if (rateLimit) policies.set(ofQueue(name), rateLimit);
    for (const { name, rateLimit } of types.values()) if (rateLimit) policies.set(ofType(name), rateLimit);
    return policies.size === 0 ? undefined : new RateLimits(policies, links);
  }

  /**
   * Takes what the journal keeps. To be called once, when it is opened: what an outage takes from the journal has started
   * all the same.
   */
  async load(): Promise<void> {
    for (const { name, record } of await this.#links.journal.rates()) {
      const policy = this.#policies.get(name);
      // Of a limit that the code has no more.
      if (!policy) continue;
      const now = this.#now();
      // Safe for bytes whose checksum held: addTo() made them.
      const window = record
        ? new RateWindow(policy, unpack(record) as RateRecord, now)
        : RateWindow.full(policy, now);
      this.#windows.set(name, window);
    }
  }

  /** Whether jobs of the type wait for a rate limit in the queue. */
  limits({ queue, name }: Limited): boolean {
    return this.#windows.has(ofQueue(queue)) || this.#windows.has(ofType(name));
  }

  /** What is asked until the next look is answered as of now: so whoever is refused is told how long to wait. */
  look(): void {
    this.#lookedAt = this.#links.clock.monotonic();
  }

  allowsQueue(queue: string): boolean {
    return this.#delayMs(ofQueue(queue)) === 0;
  }

  allowsType(name: string): boolean {
    return this.#delayMs(ofType(name)) === 0;
  }

  /** How long until a job may start, as far as rate limits go. */
  delayMs({ queue, name }: Limited): number {
    return Math.max(this.#delayMs(ofQueue(queue)), this.#delayMs(ofType(name)));
  }

  /** What holds a job back at this moment, and for how long. */
  waits({ queue, name }: Limited): RateWait[] {
    const limits = [
      { by: 'queue', name: queue, key: ofQueue(queue) },
      { by: 'type', name, key: ofType(name) },
    ] as const;
    const now = this.#links.clock.monotonic();
    return limits.flatMap(({ by, name: limited, key }) => {
      const delayMs = this.#windows.get(key)?.delayMs(now) ?? 0;
      return delayMs > 0 ? [{ by, name: limited, delayMs }] : [];
    });
  }

  /** One starts. @returns nothing where it is not limited. */
  take(limited: Limited): Permit | undefined {
    const windows = this.#windowsOf(limited);
    if (windows.length === 0) return undefined;
    for (const [, window] of windows) window.take();
    let hasBegun = false;
    return {
      begin: () => {
        if (hasBegun) return;
        hasBegun = true;
        for (const [, window] of windows) window.begin(this.#links.clock.monotonic());
      },
    };
  }

  /** To be called when the transaction that claims jobs is written, so that the last one to be written knows of all. */
  addTo(change: Transaction, limited: readonly Limited[]): void {
    for (const [name, window] of new Map(limited.flatMap((one) => this.#windowsOf(one))))
      change.putRate(name, pack(window.record(this.#now())));
  }

  #windowsOf({ queue, name }: Limited): (readonly [string, RateWindow])[] {
    return [ofQueue(queue), ofType(name)].flatMap((key) => {
      const window = this.#windows.get(key);
      return window ? [[key, window] as const] : [];
    });
  }

  #delayMs(key: string): number {
    return this.#windows.get(key)?.delayMs(this.#lookedAt) ?? 0;
  }

  #now(): Moment {
    const { clock } = this.#links;
    return { wall: clock.now(), monotonic: clock.monotonic() };
  }
}
