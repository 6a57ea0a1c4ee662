/**
 * A process with an engine at work, on a simulated machine: composed as `Millrace.open()` does it, but for the disk,
 * the time and the threads. It dies by being left alone: nothing it does later reaches the disk or the facts.
 */
import { setImmediate as soon } from 'node:timers';
import type { Clock } from '../../src/clock.js';
import { MillraceError, type Logger, type MillraceEvents } from '../../src/index.js';
import { encode } from '../../src/job/codec.js';
import { Journal } from '../../src/journal/journal.js';
import type { PayloadFiles } from '../../src/journal/payload-files.js';
import type { Store } from '../../src/journal/store.js';
import type { Settings } from '../../src/options.js';
import type { Pool, PoolEvents, Task } from '../../src/pool/contract.js';
import { InlinePool } from '../../src/pool/inline-pool.js';
import { Announcer } from '../../src/runtime/announcer.js';
import { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { poolEvents } from '../../src/runtime/pool-events.js';
import type { Done, Fact } from '../crash/facts.js';
import { INLINE_PLACES, jobs, type Work } from './catalogue.js';
import type { SimulatedClock } from './clock.js';
import type { DiskHandle } from './disk.js';
import { prefixOf, SimulatedFiles, type Files } from './files.js';
import type { Tuning } from './history.js';
import { Runs } from './runs.js';
import { asAsked, DECLARED, DECLARED_NAME } from './schedules.js';
import { SimulatedStore } from './store.js';
import { SimulatedThreads } from './threads.js';

/** What a test puts around the engine's parts: how a wrong engine is made of the right one. Made anew per process. */
export interface Wraps {
  readonly settings?: (settings: Settings) => Settings;
  readonly store?: (store: Store) => Store;
  readonly files?: (files: PayloadFiles) => PayloadFiles;
  readonly journal?: (journal: Journal) => Journal;
  readonly clock?: (clock: Clock) => Clock;
  readonly threads?: (pool: Pool, events: PoolEvents) => Pool;
  readonly inline?: (pool: Pool, events: PoolEvents) => Pool;
  readonly events?: (events: PoolEvents) => PoolEvents;
  readonly announcer?: (announcer: Announcer) => Announcer;
  readonly engine?: (engine: EmbeddedEngine) => EmbeddedEngine;
}

export interface Surroundings {
  /** Tells it from those before it. */
  readonly pid: number;
  readonly tuning: Tuning;
  readonly settings: Settings;
  /** Of the app's code. */
  readonly version: number;
  readonly openDisk: () => DiskHandle;
  readonly files: Files;
  readonly clock: SimulatedClock;
  /** Which start of the machine it is. */
  readonly boot: string;
  readonly wraps: Wraps;
  readonly tell: (fact: Fact) => void;
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** The backoff's jitter is no part of a history. */
const HALF = 0.5;

export class Process {
  readonly store: SimulatedStore;
  readonly runs: Runs;
  readonly #around: Surroundings;
  #engine: EmbeddedEngine | undefined;
  #isAlive = true;
  #isClosing = false;
  /** What was asked of the engine and has not been answered. */
  readonly #unanswered = new Map<symbol, string>();

  constructor(around: Surroundings) {
    this.#around = around;
    this.store = new SimulatedStore(around.openDisk, around.tuning, () => around.clock.monotonic());
    this.runs = new Runs(around.pid, around.version, (fact) => this.tell(fact));
  }

  /** Absent while it opens, or where it could not. */
  get engine(): EmbeddedEngine | undefined {
    return this.#engine;
  }

  tell(fact: Fact): void {
    if (this.#isAlive) this.#around.tell(fact);
  }

  /** Whether its engine works, and goes on to. */
  get isUsable(): boolean {
    return this.#engine !== undefined && !this.#isClosing;
  }

  async open(): Promise<void> {
    this.tell({ kind: 'opening' });
    const { wraps, boot, tuning, pid } = this.#around;
    const declared = tuning.declared === undefined ? undefined : DECLARED[tuning.declared];
    const call = { schedule: DECLARED_NAME, call: `open-${pid}` };
    if (declared) this.tell({ kind: 'changing', ...call, change: 'upsert', as: asAsked(declared) });
    const store = wraps.store?.(this.store) ?? this.store;
    const { files } = this.#around;
    const own = new SimulatedFiles({ files, prefix: prefixOf(pid), access: this.store.beside });
    const opened = await Journal.open(store, boot, wraps.files?.(own) ?? own);
    const engine = this.#compose(wraps.journal?.(opened) ?? opened);
    await engine.recover();
    this.tell({ kind: 'opened', tookMs: 0, isFirst: true });
    if (declared) this.tell({ kind: 'answered', ...call, durability: 'fsync' });
    this.#engine = wraps.engine?.(engine) ?? engine;
    // In a turn of its own, as Millrace.open() does it.
    soon(() => engine.begin());
  }

  /** @returns whether it came to its end. */
  async close(timeoutMs: number): Promise<boolean> {
    if (!this.#engine || this.#isClosing) return false;
    this.#isClosing = true;
    this.tell({ kind: 'closing' });
    await this.#engine.close(timeoutMs);
    this.tell({ kind: 'closed' });
    // Whoever waits for an answer has it by then.
    await new Promise((resolve) => soon(resolve));
    this.tellUnanswered();
    return this.#isAlive;
  }

  /** To be called where everything that was asked must have been answered. */
  tellUnanswered(): void {
    for (const asked of this.#unanswered.values())
      this.tell({ kind: 'broke', message: `${asked} was never answered` });
  }

  die(): void {
    this.#isAlive = false;
    this.store.die();
  }

  /** Does something to the engine that it may refuse. */
  async ask(operation: string, id: string | undefined, perform: () => Promise<void>): Promise<void> {
    const about = id === undefined ? {} : { id };
    const key = Symbol(operation);
    this.#unanswered.set(key, [operation, id].filter(Boolean).join(' '));
    this.tell({ kind: 'asked', operation, ...about });
    try {
      await perform();
    } catch (thrown) {
      if (thrown instanceof MillraceError)
        this.tell({ kind: 'refused', operation, code: thrown.code, ...about });
      else this.tell({ kind: 'broke', message: `${operation} was refused with ${String(thrown)}` });
    } finally {
      this.#unanswered.delete(key);
    }
  }

  #compose(journal: Journal): EmbeddedEngine {
    const { wraps, tuning } = this.#around;
    const settings = wraps.settings?.(this.#around.settings) ?? this.#around.settings;
    const own = new Announcer(silent);
    const announcer = wraps.announcer?.(own) ?? own;
    this.#listen(announcer);
    const mortal = this.#mortalClock();
    const clock = wraps.clock?.(mortal) ?? mortal;
    let engine: EmbeddedEngine | undefined;
    const forwarded = poolEvents(announcer, () => engine);
    const events = wraps.events?.(forwarded) ?? forwarded;
    const thread = new SimulatedThreads(tuning.threads, events, clock, this.runs, (task) =>
      this.#payloadOf(task),
    );
    const inline = new InlinePool(this.#handlers(), events, clock);
    engine = new EmbeddedEngine({
      settings,
      journal,
      clock,
      announcer,
      pools: {
        thread: wraps.threads?.(thread, events) ?? thread,
        inline: wraps.inline?.(inline, events) ?? inline,
      },
      nativeTypes: new Set(),
      random: () => HALF,
      windowSize: tuning.windowSize,
    });
    return engine;
  }

  /** As a thread has it. */
  #payloadOf({ id, payload, payloadFile }: Task): Uint8Array {
    if (!payloadFile) return payload;
    const file = this.#around.files.get(payloadFile.path);
    if (file?.id === id) return file.payload;
    this.tell({
      kind: 'broke',
      message: `the payload of ${id}, which runs, is ${file ? 'another' : 'gone'}`,
    });
    return encode({ token: 'gone' }, 'payload');
  }

  /** Of inline jobs: they run until a history ends them. */
  #handlers(): ConstructorParameters<typeof InlinePool>[0] {
    const handler = (payload: Work, job: Parameters<Runs['start']>[0]): Promise<Done> =>
      new Promise((resolve, reject) => {
        this.runs.start(job, payload, this.runs.eventLoop, (verdict) => {
          if (verdict && 'value' in verdict) resolve(verdict.value);
          else reject(verdict?.thrown ?? new Error('It died, as far as an inline handler can'));
        });
      });
    return Object.fromEntries(
      Object.entries(jobs)
        .filter(([, { kind }]) => kind === 'inline')
        .map(([name]) => [name, { handler, concurrency: INLINE_PLACES }]),
    );
  }

  /** The machine's, until the process dies. */
  #mortalClock(): Clock {
    const { clock } = this.#around;
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      setTimer: (callback, delayMs) =>
        this.#isAlive ? clock.setTimer(callback, delayMs) : { cancel: () => {} },
    };
  }

  #listen({ emitter }: Announcer): void {
    const ended = (state: 'failed' | 'cancelled') => (job: { readonly id: string }) =>
      this.tell({ kind: 'ended', id: job.id, state, by: 'event' });
    emitter.on('enqueued', ({ id, name }) => this.tell({ kind: 'enqueued', id, name }));
    emitter.on('started', ({ id, queue }) => {
      const { writtenInMs } = this.store;
      this.tell({ kind: 'began', id, queue, writtenInMs });
    });
    emitter.on('completed', (event) => this.tell(completed(event)));
    emitter.on('failed', ended('failed'));
    emitter.on('cancelled', ended('cancelled'));
    emitter.on('errored', ({ id, attempt }) => this.tell({ kind: 'errored', id, attempt }));
    emitter.on('rescued', ({ id }) => this.tell({ kind: 'rescued', id }));
    emitter.on('warning', ({ code, message }) => this.tell({ kind: 'warned', code, message }));
  }
}

/** Safe: that is what the handlers of a simulated process return. Were it not so, the check would find it. */
const completed = ({ id, result }: MillraceEvents['completed']): Fact => ({
  kind: 'ended',
  id,
  state: 'completed',
  by: 'event',
  result: result as Done,
});
