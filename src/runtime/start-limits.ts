/**
 * Whether a job may start, as far as limits go: how many run and how many start in a time, of its queue, its type and its
 * concurrency key, and of all that works on libuv's pool; and whether its queue is paused.
 */
import type { Clock } from '../clock.js';
import type { JobSpec } from '../job/record.js';
import { laneNameOf, typeOf } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import { Limits } from '../queue/limits.js';
import { KeyWaits } from './key-waits.js';
import type { Limited, Permit, RateLimits } from './rate-limits.js';

/** How many run, and how many may. */
export interface Usage {
  readonly running: number;
  /** Infinity where there is no limit. */
  readonly limit: number;
}

/** What {@link StartLimits.start} was called for, and what it returned. */
interface Held extends Limited {
  readonly permit: Permit | undefined;
}

/** What the limits of a job are at. */
export interface LimitUsage {
  readonly queue: Usage;
  readonly type: Usage;
  /** Of its concurrency key, where that has a limit. */
  readonly key: Usage | undefined;
  /** Of all types together that work on libuv's pool, where it is one of them. */
  readonly native: Usage | undefined;
}

export interface StartLimitsOptions {
  readonly clock: Clock;
  readonly queues: readonly QueueSettings[];
  /** The job types that the code knows, and how many of each may run at once. */
  readonly typeConcurrency: ReadonlyMap<string, number>;
  /** And how many of each whose concurrency key is the same; absent where there is no limit. */
  readonly keyConcurrency?: ReadonlyMap<string, number> | undefined;
  /** Job types that share a limit of their own, because they work on libuv's pool. */
  readonly nativeTypes: ReadonlySet<string>;
  readonly nativeConcurrency: number;
  /** Whether nothing of a queue may be started. */
  readonly isPaused: (queue: string) => boolean;
  /** Absent where no rate is limited. */
  readonly rates?: RateLimits | undefined;
}

/** The one key of the limit that native job types share. */
const NATIVE = 'native';

export class StartLimits {
  readonly #options: StartLimitsOptions;
  readonly #queues: Limits;
  readonly #types: Limits;
  readonly #native: Limits;
  /** By lane. */
  readonly #keys: Limits;
  readonly #keyWaits: KeyWaits;
  readonly #onFreed: (lanes: Iterable<string>) => void;

  /** @param onFreed Jobs of these concurrency keys may start again, as far as is known. */
  constructor(options: StartLimitsOptions, onFreed: (lanes: Iterable<string>) => void) {
    const { keyConcurrency } = options;
    this.#options = options;
    this.#queues = new Limits(new Map(options.queues.map(({ name, concurrency }) => [name, concurrency])));
    this.#types = new Limits(options.typeConcurrency);
    this.#native = new Limits(new Map([[NATIVE, options.nativeConcurrency]]));
    this.#keys = new Limits({ get: (lane) => keyConcurrency?.get(typeOf(lane)) });
    this.#keyWaits = new KeyWaits(options.clock, onFreed);
    this.#onFreed = onFreed;
  }

  /** What is asked of queues and types until the next look is answered as of now. */
  look(): void {
    this.#options.rates?.look();
  }

  /** Whether jobs wait that keys may hold back: where none does, the process need not stay for those. */
  set isWaiting(isWaiting: boolean) {
    this.#keyWaits.isAwaited = isWaiting;
  }

  /** Nobody is told any more of a key that has waited. */
  stopWaiting(): void {
    this.#keyWaits.clear();
  }

  /** Whether something of the queue may start now. */
  allowsQueue(queue: string): boolean {
    const { isPaused, rates } = this.#options;
    return this.#queues.allows(queue) && !isPaused(queue) && (!rates || rates.allowsQueue(queue));
  }

  allowsType(name: string): boolean {
    const { nativeTypes, rates } = this.#options;
    if (nativeTypes.has(name) && !this.#native.allows(NATIVE)) return false;
    return this.#types.allows(name) && (!rates || rates.allowsType(name));
  }

  /** Whether another job of a key may start. Whoever is refused is told when it may be otherwise. */
  allowsKey(lane: string): boolean {
    if (!this.#keys.allows(lane)) return false;
    const delayMs = this.#options.rates?.keyDelayMs(lane) ?? 0;
    if (delayMs > 0) this.#keyWaits.add(lane, delayMs);
    return delayMs === 0;
  }

  /** Whether a limit can hold back jobs of the type in the queue, whatever their concurrency keys. */
  isLimited(name: string, { name: queue, concurrency }: QueueSettings): boolean {
    const { typeConcurrency, nativeTypes, rates } = this.#options;
    if (rates?.limits({ queue, name })) return true;
    return (
      concurrency < Infinity || (typeConcurrency.get(name) ?? Infinity) < Infinity || nativeTypes.has(name)
    );
  }

  /** Whether jobs of the type that have concurrency keys can be held back for those. */
  limitsKeys(name: string): boolean {
    return this.#countsKeys(name) || this.#options.rates?.limitsKeys(name) === true;
  }

  /** It counts until {@link end}. @returns where a rate counts it, what is to be told whether it begins. */
  start({ name, queue, keyed }: Limited): Permit | undefined {
    this.#queues.start(queue);
    this.#types.start(name);
    if (keyed !== undefined && this.#countsKeys(name)) this.#keys.start(keyed);
    if (this.#options.nativeTypes.has(name)) this.#native.start(NATIVE);
    return this.#options.rates?.take({ name, queue, keyed });
  }

  end({ name, queue, keyed, permit }: Held): void {
    permit?.giveBack();
    this.#queues.end(queue);
    this.#types.end(name);
    if (this.#options.nativeTypes.has(name)) this.#native.end(NATIVE);
    if (keyed === undefined) return;
    const isCounted = this.#countsKeys(name);
    if (isCounted) this.#keys.end(keyed);
    if (isCounted || permit?.hasBegun === false) this.#onFreed([keyed]);
  }

  usage(spec: Pick<JobSpec, 'queue' | 'name' | 'concurrencyKey'>): LimitUsage {
    const { queue, name, concurrencyKey } = spec;
    const isKeyCounted = concurrencyKey !== undefined && this.#countsKeys(name);
    return {
      queue: usageOf(this.#queues, queue),
      type: usageOf(this.#types, name),
      key: isKeyCounted ? usageOf(this.#keys, laneNameOf(spec)) : undefined,
      native: this.#options.nativeTypes.has(name) ? usageOf(this.#native, NATIVE) : undefined,
    };
  }

  #countsKeys(name: string): boolean {
    return (this.#options.keyConcurrency?.get(name) ?? Infinity) < Infinity;
  }
}

const usageOf = (limits: Limits, key: string): Usage => ({
  running: limits.running(key),
  limit: limits.max(key),
});
