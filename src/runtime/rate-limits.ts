/** The rate limits of queues, job types and concurrency keys: what they allow now, and what the journal keeps of them. */
import type { RatePolicy } from '../job/rate-limit.js';
import { pack, unpack } from '../job/packer.js';
import type { KeptRate } from '../journal/indexes.js';
import { typeOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Settings } from '../options.js';
import { RateWindow, type RateRecord } from '../queue/rate-window.js';
import { KeyRates } from './key-rates.js';
import { RATE_TIME, RateTime, type RateTimeLinks } from './rate-time.js';

/** An attempt that may start: it counts from when it was allowed, and as long as the windows say from its beginning. */
export interface Permit {
  readonly hasBegun: boolean;
  /** Its handler is going to be called. */
  begin(): void;
  /** Its handler never is: it does not count. Where it has begun, or was given back, this does nothing. */
  giveBack(): void;
}

/** A limit that allows no start for a while. */
export interface RateWait {
  readonly by: 'queue' | 'type' | 'key';
  readonly delayMs: number;
}

/** A job's queue and type. */
interface Origin {
  readonly queue: string;
  readonly name: string;
}

/** What may have limits. */
export interface Limited extends Origin {
  /** The job's lane, where it has a concurrency key. */
  readonly keyed: string | undefined;
}

/** How many windows of keys are read at once. */
const PAGE = 1_000;
/** More than come new: so those that count nothing any more become fewer. */
const FORGOTTEN_PER_START = 2;

const ofQueue = (queue: string): string => `q!${queue}`;
const ofType = (name: string): string => `t!${name}`;
const KEY = 'k!';
const ofKey = (lane: string): string => `${KEY}${lane}`;

export class RateLimits {
  readonly #journal: RateTimeLinks['journal'];
  readonly #time: RateTime;
  /** The job types that the code knows. */
  readonly #types: Settings['types'];
  readonly #policies: ReadonlyMap<string, RatePolicy>;
  /** Of queues and types. */
  readonly #windows = new Map<string, RateWindow>();
  readonly #keys: KeyRates;
  #lookedAt = 0;

  private constructor(
    types: Settings['types'],
    policies: ReadonlyMap<string, RatePolicy>,
    keys: ReadonlyMap<string, RatePolicy>,
    links: RateTimeLinks,
  ) {
    this.#types = types;
    this.#policies = policies;
    this.#keys = new KeyRates(keys);
    this.#journal = links.journal;
    const all = [...policies.values(), ...keys.values()];
    // A window, and the step that has to leave it.
    this.#time = new RateTime(links, 2 * Math.max(...all.map(({ perMs }) => perMs)));
    for (const [key, policy] of policies) this.#windows.set(key, new RateWindow(policy));
  }

  /** @returns nothing where nothing is limited. */
  static of({ queues, types }: Settings, links: RateTimeLinks): RateLimits | undefined {
    const policies = new Map<string, RatePolicy>();
    const keys = new Map<string, RatePolicy>();
    for (const { name, rateLimit } of queues.values()) if (rateLimit) policies.set(ofQueue(name), rateLimit);
    for (const { name, rateLimit, rateLimitPerKey } of types.values()) {
      if (rateLimit) policies.set(ofType(name), rateLimit);
      if (rateLimitPerKey) keys.set(name, rateLimitPerKey);
    }
    return policies.size + keys.size === 0 ? undefined : new RateLimits(types, policies, keys, links);
  }

  /**
   * Takes what the journal keeps. To be called once, when it is opened: what an outage takes from the journal has started
   * all the same.
   */
  async load(): Promise<void> {
    let after: string | undefined;
    let isTimed = true;
    do {
      const { rates, next } = await this.#journal.indexes.rates(after, PAGE);
      for (const rate of rates) this.#restore(rate);
      await this.#restoreKeys(rates.filter(({ name }) => name.startsWith(KEY)));
      if (rates.length > 0 && this.#time.keptAt === undefined) isTimed = false;
      after = next;
    } while (after !== undefined);
    this.#keys.order(this.#time.now());
    // When that was is not known, so all of it counts as of now; and for the next process, too, that was now.
    if (!isTimed) await this.#time.begin();
  }

  /** Nothing starts any more. */
  async close(): Promise<void> {
    await this.#time.close();
  }

  /** Whether jobs of the type wait for a rate limit in the queue, whatever their concurrency keys. */
  limits({ queue, name }: Origin): boolean {
    return this.#windows.has(ofQueue(queue)) || this.#windows.has(ofType(name));
  }

  /** Whether jobs of the type that have concurrency keys wait for a limit of their keys' own. */
  limitsKeys(name: string): boolean {
    return this.#keys.limits(name);
  }

  /** What is asked until the next look is answered as of now: so whoever is refused is told how long to wait. */
  look(): void {
    this.#lookedAt = this.#time.now();
    this.#time.watch(this.#lookedAt);
  }

  allowsQueue(queue: string): boolean {
    return this.#delayMs(ofQueue(queue)) === 0;
  }

  allowsType(name: string): boolean {
    return this.#delayMs(ofType(name)) === 0;
  }

  /** How long until a job may start, as far as the limits of its queue and type go. */
  delayMs({ queue, name }: Origin): number {
    return Math.max(this.#delayMs(ofQueue(queue)), this.#delayMs(ofType(name)));
  }

  /** How long from this moment until another job of the key may start, as far as its own limit goes. */
  keyDelayMs(lane: string): number {
    return this.#keys.delayMs(lane, this.#time.now());
  }

  /** What holds a job back at this moment, and for how long. */
  waits({ queue, name, keyed }: Limited): RateWait[] {
    const now = this.#time.now();
    const waits: RateWait[] = [
      { by: 'queue', delayMs: this.#windows.get(ofQueue(queue))?.delayMs(now) ?? 0 },
      { by: 'type', delayMs: this.#windows.get(ofType(name))?.delayMs(now) ?? 0 },
      { by: 'key', delayMs: keyed === undefined ? 0 : this.#keys.delayMs(keyed, now) },
    ];
    return waits.filter(({ delayMs }) => delayMs > 0);
  }

  /** One starts. @returns nothing where it is not limited. */
  take(limited: Limited): Permit | undefined {
    const windows = this.#windowsOf(limited);
    if (windows.length === 0) return undefined;
    for (const [, window] of windows) window.take();
    let state: 'taken' | 'begun' | 'givenBack' = 'taken';
    return {
      get hasBegun() {
        return state === 'begun';
      },
      begin: () => {
        if (state !== 'taken') return;
        state = 'begun';
        const now = this.#time.now();
        for (const [, window] of windows) window.begin(now);
        if (limited.keyed !== undefined) this.#keys.began(limited.keyed);
        this.#time.counts(now);
      },
      giveBack: () => {
        if (state !== 'taken') return;
        state = 'givenBack';
        for (const [, window] of windows) window.giveBack();
      },
    };
  }

  /**
   * To be called when the transaction is written that claims jobs, or that gives back what was claimed, so that the last
   * one to be written knows of all.
   */
  addTo(change: Transaction, limited: readonly Limited[]): void {
    const now = this.#time.now();
    const forgotten = this.#keys.forget(FORGOTTEN_PER_START * limited.length, now);
    for (const lane of forgotten) change.removeRate(ofKey(lane));
    for (const [name, window] of new Map(limited.flatMap((one) => this.#windowsOf(one)))) {
      if (window.countsForMs(now) > 0) change.putRate(name, pack(window.record(now)));
      else {
        change.removeRate(name);
        if (name.startsWith(KEY)) this.#keys.drop(name.slice(KEY.length));
      }
    }
    this.#time.addTo(change);
    this.#time.counts(now);
  }

  #restore({ name, record }: KeptRate): void {
    if (name === RATE_TIME) {
      if (record) this.#time.restore(record);
      return;
    }
    const policy = this.#policies.get(name);
    // Of a limit that the code has no more.
    if (!policy) return;
    const { keptAt } = this.#time;
    this.#windows.set(name, RateWindow.restored(policy, recordOf(record), keptAt, this.#time.now()));
  }

  async #restoreKeys(rates: readonly KeptRate[]): Promise<void> {
    const kept = rates
      .map(({ name, record }) => [name.slice(KEY.length), recordOf(record)] as const)
      // What of a type that the code does not know has started is of interest once it knows it again.
      .filter(([lane]) => this.#types.has(typeOf(lane)));
    const over = this.#keys.restore(kept, this.#time.keptAt, this.#time.now());
    if (over.length === 0) return;
    const change = new Transaction();
    for (const lane of over) change.removeRate(ofKey(lane));
    await this.#journal.commit(change);
  }

  #windowsOf({ queue, name, keyed }: Limited): (readonly [string, RateWindow])[] {
    const windows: (readonly [string, RateWindow])[] = [];
    for (const key of [ofQueue(queue), ofType(name)]) {
      const window = this.#windows.get(key);
      if (window) windows.push([key, window]);
    }
    const own = keyed === undefined ? undefined : this.#keys.windowOf(keyed);
    if (keyed !== undefined && own) windows.push([ofKey(keyed), own]);
    return windows;
  }

  #delayMs(key: string): number {
    return this.#windows.get(key)?.delayMs(this.#lookedAt) ?? 0;
  }
}

/** Safe for bytes whose checksum held: {@link RateLimits.addTo} made them. */
const recordOf = (record: Uint8Array | undefined): RateRecord | undefined =>
  record && (unpack(record) as RateRecord);
