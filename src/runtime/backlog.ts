/**
 * The available jobs of all queues, and the choice of the next one. A queue's jobs lie in lanes, one per job type,
 * each with a window in memory that is refilled from the journal: so a type that cannot run now (no thread is
 * free, its limit is reached) neither holds up the others nor fills their place. Jobs of types that the code does
 * not know stay in the journal.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { laneSpan, orderOf, placeOf, readyKey } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import { Limits } from '../queue/limits.js';
import { selector, type Selection, type Selector } from '../queue/selector.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Window, WINDOW_SIZE } from '../queue/window.js';
import type { Permit, RateLimits } from './rate-limits.js';

/** The jobs of one type in a queue. */
export interface LaneInfo {
  readonly queue: string;
  readonly name: string;
  /** How many of them run at once, or start in a time, is limited: one that is claimed must not wait behind others. */
  readonly isLimited: boolean;
}

interface Lane extends LaneInfo {
  window: Window;
  /** Jobs taken since the low-water mark was last raised, which is done once per window. */
  taken: number;
  /** Set while what could not be read waits to be tried again. */
  retry?: Timer | undefined;
}

interface Line extends QueueSettings {
  readonly lanes: ReadonlyMap<string, Lane>;
  /** What {@link Backlog.next} found to be its next job. */
  head: Head;
}

/** A line's next job; `unread`: it has yet to be read from the journal. */
type Head = { readonly entry: ReadyEntry; readonly lane: Lane } | 'unread' | undefined;

/** How many run, and how many may. */
export interface Usage {
  readonly running: number;
  /** Infinity where there is no limit. */
  readonly limit: number;
}

/** What holds back, or does not, the jobs of one type in a queue. */
export interface LaneUsage {
  readonly queue: Usage;
  readonly type: Usage;
  /** Of all types together that work on libuv's pool, where it is one of them. */
  readonly native: Usage | undefined;
  /** It could not be read, and waits to be tried again. */
  readonly isResting: boolean;
}

/** A job that was chosen, and where it came from. */
export interface Choice extends ReadyEntry, LaneInfo {
  /** Where a rate limit counts it. */
  readonly permit: Permit | undefined;
}

export interface BacklogOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly queues: Iterable<QueueSettings>;
  readonly selection: Selection;
  /** The job types that the code knows, and how many of each may run at once. */
  readonly typeConcurrency: ReadonlyMap<string, number>;
  /** Job types that share a limit of their own, because they work on libuv's pool. */
  readonly nativeTypes: ReadonlySet<string>;
  readonly nativeConcurrency: number;
  /** Whether nothing of a queue may be started. */
  readonly isPaused: (queue: string) => boolean;
  /** Absent where no rate is limited. */
  readonly rates?: RateLimits | undefined;
  /** How many entries a lane's window holds. */
  readonly windowSize?: number | undefined;
  /** There are entries that were not there before. */
  readonly onRefill: () => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** A job with a greater payload is read again when it is claimed, so that windows stay small. */
const MAX_CACHED_PAYLOAD_BYTES = 4_096;
/** How many jobs are read at once: enough to be quick, few enough not to be felt on the event loop. */
const FETCH_SIZE = 200;
/** Before what could not be read is tried again. */
const RETRY_MS = 1_000;
/** The one key of the limit that native job types share. */
const NATIVE = 'native';

export class Backlog {
  readonly #options: BacklogOptions;
  readonly #lines = new Map<string, Line>();
  readonly #selector: Selector<Line>;
  readonly #queueLimits: Limits;
  readonly #typeLimits: Limits;
  readonly #nativeLimit: Limits;
  readonly #refills = new Set<Promise<void>>();
  readonly #windowSize: number;
  /** Set while jobs wait for a rate limit. */
  #rateTimer: Timer | undefined;
  #isStopped = false;

  constructor(options: BacklogOptions) {
    this.#options = options;
    this.#windowSize = options.windowSize ?? WINDOW_SIZE;
    const names = [...options.typeConcurrency.keys()];
    for (const settings of options.queues) {
      const queue = settings.name;
      const lanes = names.map((name): Lane => {
        const isLimited = this.#isLimited(name, settings);
        return { queue, name, isLimited, window: new Window(this.#windowSize), taken: 0 };
      });
      this.#lines.set(queue, {
        ...settings,
        lanes: new Map(lanes.map((lane) => [lane.name, lane])),
        head: undefined,
      });
    }
    const lines = [...this.#lines.values()];
    this.#selector = selector(options.selection, lines);
    this.#queueLimits = new Limits(new Map(lines.map(({ name, concurrency }) => [name, concurrency])));
    this.#typeLimits = new Limits(options.typeConcurrency);
    this.#nativeLimit = new Limits(new Map([[NATIVE, options.nativeConcurrency]]));
  }

  /**
   * Forgets what waits and reads the heads of all queues anew; each is of use as soon as it is there. What runs goes on
   * counting in its limits.
   */
  async load(): Promise<void> {
    this.#isStopped = false;
    for (const { lanes } of this.#lines.values()) {
      for (const lane of lanes.values()) {
        lane.window = new Window(this.#windowSize);
        lane.taken = 0;
        lane.retry = undefined;
        this.#wantMore(lane);
      }
    }
    await Promise.all(this.#refills);
  }

  /** Reads no more pages, and waits for those that are being read. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#rateTimer?.cancel();
    for (const { lanes } of this.#lines.values()) for (const lane of lanes.values()) lane.retry?.cancel();
    await Promise.all(this.#refills);
  }

  /** A committed, available job. */
  add(job: Job, key = readyKey(job.spec)): void {
    const { spec } = job;
    const { id, name, payload } = spec;
    const isSmall = payload.byteLength <= MAX_CACHED_PAYLOAD_BYTES;
    this.#lane(spec)?.window.add({ key, id, name, job: isSmall ? job : undefined });
  }

  /**
   * Chooses a job that is not in the journal yet, where nothing waits that could come before it and no limit holds it
   * back; it counts in its limits until {@link end}.
   */
  chooseNew(job: Job): Choice | undefined {
    const { id, name, queue } = job.spec;
    const lane = this.#lane(job.spec);
    this.#options.rates?.look();
    if (!lane || !this.#isOpen(queue) || !this.#allows(name)) return undefined;
    for (const { name: other, lanes } of this.#lines.values()) {
      if (this.#options.isPaused(other)) continue;
      for (const { window } of lanes.values()) if (!window.isExhausted) return undefined;
    }
    const { isLimited } = lane;
    return { key: readyKey(job.spec), id, name, job, queue, isLimited, permit: this.#start(lane) };
  }

  /**
   * The next job that can run now; it is hidden until {@link settle}, and counts in its limits until {@link end}.
   * @param hasRoom Whether a job of that type could start.
   * @param accepts Whether this very job could.
   * @param mayStart Asked of the one that is chosen: if not, it stays where it is, and there is no next one.
   */
  next(
    hasRoom: (lane: LaneInfo) => boolean,
    accepts: (entry: ReadyEntry) => boolean,
    mayStart: (entry: ReadyEntry) => boolean = () => true,
  ): Choice | undefined {
    this.#options.rates?.look();
    const line = this.#selector.next((candidate) => {
      candidate.head = this.#isOpen(candidate.name) ? this.#headOf(candidate, hasRoom, accepts) : undefined;
      // With weights the others go on meanwhile; strictly, a lighter queue waits for what a heavier one may have.
      if (candidate.head === 'unread') return this.#options.selection === 'strict';
      return candidate.head !== undefined;
    });
    if (!line?.head || line.head === 'unread') {
      this.#awaitRates();
      return undefined;
    }
    const { entry, lane } = line.head;
    if (!mayStart(entry)) return undefined;
    lane.window.take(entry.key);
    return {
      key: entry.key,
      id: entry.id,
      name: entry.name,
      job: entry.job,
      queue: lane.queue,
      isLimited: lane.isLimited,
      permit: this.#start(lane),
    };
  }

  /** Whether a job that no limit holds back waits in a lane for which `isStuck` says yes. */
  hasStuck(isStuck: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): boolean {
    this.#options.rates?.look();
    for (const line of this.#lines.values()) {
      if (!this.#isOpen(line.name)) continue;
      for (const lane of line.lanes.values()) {
        if (lane.retry || !this.#allows(lane.name) || !isStuck(lane)) continue;
        if (lane.window.first(accepts)) return true;
      }
    }
    return false;
  }

  /** What the limits of a job's queue and type, where it is in a known one, are at. */
  usage({ queue, name }: { readonly queue: string; readonly name: string }): LaneUsage {
    const isNative = this.#options.nativeTypes.has(name);
    return {
      queue: usageOf(this.#queueLimits, queue),
      type: usageOf(this.#typeLimits, name),
      native: isNative ? usageOf(this.#nativeLimit, NATIVE) : undefined,
      isResting: this.#lane({ queue, name })?.retry !== undefined,
    };
  }

  /** The job types of a queue that no limit of their own holds back. */
  openTypes(queue: string): string[] {
    this.#options.rates?.look();
    const lanes = this.#lines.get(queue)?.lanes ?? new Map<string, Lane>();
    return [...lanes.values()]
      .filter((lane) => !lane.retry && this.#allows(lane.name))
      .map(({ name }) => name);
  }

  /** The job that was chosen does not run any more. */
  end({ name, queue, permit }: Choice): void {
    permit?.begin();
    this.#queueLimits.end(queue);
    this.#typeLimits.end(name);
    if (this.#options.nativeTypes.has(name)) this.#nativeLimit.end(NATIVE);
  }

  /** Hides a job that somebody else than a claim takes away. */
  take(spec: JobSpec): void {
    this.#lane(spec)?.window.take(readyKey(spec));
  }

  /** A job that was taken stays where it is after all. */
  keep({ spec }: Job): void {
    const { id, name } = spec;
    this.#lane(spec)?.window.giveBack({ key: readyKey(spec), id, name, job: undefined });
  }

  /** The journal no longer holds the entry. */
  settle(job: { readonly queue: string; readonly name: string }, key: string): void {
    const lane = this.#lane(job);
    if (!lane) return;
    lane.window.settle(key);
    if (++lane.taken < this.#windowSize) return;
    lane.taken = 0;
    this.#options.journal.raiseMark(laneSpan(lane.queue, lane.name).from, lane.window.lowestLive());
  }

  /** The entry stays in the journal after all: a job that was chosen and could not be read. */
  giveBack({ queue, key, id, name, job }: Choice): void {
    const lane = this.#lane({ queue, name });
    if (!lane) return;
    lane.window.giveBack({ key, id, name, job });
    this.#retryLater(lane);
    this.#options.onRefill();
  }

  #lane({ queue, name }: { readonly queue: string; readonly name: string }): Lane | undefined {
    return this.#lines.get(queue)?.lanes.get(name);
  }

  /** Whether something of the queue may start now. */
  #isOpen(queue: string): boolean {
    const { isPaused, rates } = this.#options;
    return this.#queueLimits.allows(queue) && !isPaused(queue) && (!rates || rates.allowsQueue(queue));
  }

  #start({ name, queue }: LaneInfo): Permit | undefined {
    this.#queueLimits.start(queue);
    this.#typeLimits.start(name);
    if (this.#options.nativeTypes.has(name)) this.#nativeLimit.start(NATIVE);
    return this.#options.rates?.take({ name, queue });
  }

  #allows(name: string): boolean {
    if (this.#options.nativeTypes.has(name) && !this.#nativeLimit.allows(NATIVE)) return false;
    if (this.#options.rates && !this.#options.rates.allowsType(name)) return false;
    return this.#typeLimits.allows(name);
  }

  /** The first job of a queue among those whose type has room. */
  #headOf(line: Line, hasRoom: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): Head {
    let head: Exclude<Head, 'unread'>;
    let isUnread = false;
    for (const lane of line.lanes.values()) {
      if (lane.retry || !this.#allows(lane.name) || !hasRoom(lane)) continue;
      this.#wantMore(lane);
      isUnread ||= lane.window.isUnread;
      const entry = lane.window.first(accepts);
      if (entry && (!head || orderOf(entry.key) < orderOf(head.entry.key))) head = { entry, lane };
    }
    // What is still to be read may come first.
    return isUnread ? 'unread' : head;
  }

  #isLimited(name: string, { name: queue, concurrency }: QueueSettings): boolean {
    const { typeConcurrency, nativeTypes, rates } = this.#options;
    if (rates?.limits({ queue, name })) return true;
    return (
      concurrency < Infinity || (typeConcurrency.get(name) ?? Infinity) < Infinity || nativeTypes.has(name)
    );
  }

  /** Nothing can start: where jobs wait for nothing but a rate limit, the first of those is waited for. */
  #awaitRates(): void {
    const { rates, isPaused, clock, onRefill } = this.#options;
    this.#rateTimer?.cancel();
    this.#rateTimer = undefined;
    if (!rates || this.#isStopped) return;
    let soonestMs = Infinity;
    for (const { name: queue, lanes } of this.#lines.values()) {
      if (isPaused(queue)) continue;
      for (const lane of lanes.values()) {
        const delayMs = lane.window.isExhausted ? 0 : rates.delayMs(lane);
        if (delayMs > 0) soonestMs = Math.min(soonestMs, delayMs);
      }
    }
    // Rounded up, so that it is not looked again before the time.
    if (soonestMs < Infinity) this.#rateTimer = clock.setTimer(onRefill, Math.ceil(soonestMs));
  }

  #wantMore(lane: Lane): void {
    if (this.#isStopped || lane.retry || lane.window.wants === undefined) return;
    const refill = this.#refill(lane).finally(() => this.#refills.delete(refill));
    this.#refills.add(refill);
  }

  async #refill(lane: Lane): Promise<void> {
    const { journal, onRefill } = this.#options;
    const after = lane.window.wants;
    if (after === undefined) return;
    let entries: ReadyEntry[] = [];
    lane.window.beginPage();
    try {
      const from = after === '' ? undefined : after;
      const page = await journal.ready(lane.queue, lane.name, from, this.#windowSize);
      entries = page.entries.map(({ key, text: id }) => ({ key, id, name: lane.name, job: undefined }));
      lane.window.endPage({ ...page, entries });
    } catch (thrown) {
      lane.window.endPage(undefined);
      if (this.#isStopped) return;
      const cause = asError(thrown);
      const message = `The waiting ${lane.name} jobs of queue ${lane.queue} could not be read, and are tried again: ${cause.message}`;
      this.#options.onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#retryLater(lane);
    }
    // Also where it failed: the lane rests, and others that had to wait for its first entry go on.
    onRefill();
    await this.#fetchJobs(entries);
  }

  /** Reads the jobs themselves before they are needed: a claim that has to read them takes longer. */
  async #fetchJobs(entries: readonly ReadyEntry[]): Promise<void> {
    for (let from = 0; from < entries.length && !this.#isStopped; from += FETCH_SIZE) {
      const some = entries.slice(from, from + FETCH_SIZE);
      try {
        const jobs = await this.#options.journal.jobs(some.map(({ id }) => id));
        for (const [i, entry] of some.entries()) {
          const job = jobs[i];
          // What does not fit here is for the claim to deal with, as is what could not be read.
          if (!job || job instanceof MillraceError || placeOf(job) !== entry.key) continue;
          if (job.spec.payload.byteLength <= MAX_CACHED_PAYLOAD_BYTES) entry.job = job;
        }
      } catch {
        return; // The claims read again, and report what keeps them from it.
      }
    }
  }

  /** A lane that could not be read rests, so that trying again neither stops nor spins. */
  #retryLater(lane: Lane): void {
    const { clock, onRefill } = this.#options;
    if (this.#isStopped) return;
    lane.retry ??= clock.setTimer(() => {
      lane.retry = undefined;
      onRefill();
    }, RETRY_MS);
  }
}

const usageOf = (limits: Limits, key: string): Usage => ({
  running: limits.running(key),
  limit: limits.max(key),
});
