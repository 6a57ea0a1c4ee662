/**
 * Engines with schedules on one disk in memory, one process after the other, under a clock that stands still until a
 * test moves it. The jobs `work` and `stubborn` hold their
 * runs until they are let go, the latter whatever it is told; `quick` ends at once.
 */
import { onTestFinished } from 'vitest';
import { inlineJob, type JobContext, type MillraceError, type Schedule } from '../../src/index.js';
import { Journal } from '../../src/journal/journal.js';
import { checkOptions } from '../../src/options.js';
import { InlinePool } from '../../src/pool/inline-pool.js';
import { Announcer } from '../../src/runtime/announcer.js';
import { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { poolEvents } from '../../src/runtime/pool-events.js';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { KillableStore, type Kill } from '../fixtures/killable-store.js';
import { recordingLogger } from '../fixtures/logger.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** A handler that began: by the job's id and the tick that it is for. */
export interface Began {
  readonly id: string;
  readonly scheduledFor: number | undefined;
}

export type Schedules = Readonly<Record<string, Schedule>>;

export class ScheduleBench {
  readonly clock = new FakeClock();
  /** Of all processes. */
  readonly began: Began[] = [];
  readonly warnings: MillraceError[] = [];
  readonly cancelled: string[] = [];
  readonly #disk: Disk;
  readonly #held = new Map<string, () => void>();
  #engine: EmbeddedEngine | undefined;
  #store: KillableStore | undefined;

  private constructor(disk: Disk) {
    this.#disk = disk;
  }

  static async make(disk?: Disk): Promise<ScheduleBench> {
    const bench = new ScheduleBench(disk ?? (await memoryDisk()));
    onTestFinished(() => bench.stop());
    return bench;
  }

  get engine(): EmbeddedEngine {
    if (!this.#engine) throw new Error('No process is running');
    return this.#engine;
  }

  get store(): KillableStore {
    if (!this.#store) throw new Error('No process is running');
    return this.#store;
  }

  /** A process begins. Where it is killed while it opens, that is over as soon as nothing moves any more. */
  async start(schedules: Schedules = {}, kill?: Kill): Promise<void> {
    const store = new KillableStore(await this.#disk.open(), kill);
    this.#store = store;
    const opened = this.#open(store, schedules);
    await Promise.race([opened, this.#died(store)]);
    await store.quiet();
  }

  /** The process ends as it should, and what runs is released. */
  async stop(): Promise<void> {
    const [engine, store] = [this.#engine, this.#store];
    this.#engine = undefined;
    this.#store = undefined;
    if (!engine || !store || store.isDead) return;
    await engine.close(0);
  }

  /** The process is gone, with all that it did: its handlers, too, are heard of no more. */
  kill(): void {
    this.#store?.die();
    this.#engine = undefined;
    this.#held.clear();
  }

  /** Time passes; after each timer everything comes to rest. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.monotonic() + ms;
    for (;;) {
      const before = this.clock.monotonic();
      await this.clock.advanceToNext(until);
      await this.store.settled();
      if (this.clock.monotonic() === before) break;
    }
    await this.clock.advance(until - this.clock.monotonic());
    await this.store.quiet();
  }

  /** The ids of the handlers that are held. */
  get held(): string[] {
    return [...this.#held.keys()];
  }

  /** The job's handler completes. */
  async letGo(id: string): Promise<void> {
    const letGo = this.#held.get(id);
    if (!letGo) throw new Error(`No handler of ${id} is held; there are ${this.held.join(', ')}`);
    letGo();
    await this.store.quiet();
  }

  async #died(store: KillableStore): Promise<void> {
    do await store.quiet();
    while (!store.isDead && this.#engine === undefined);
  }

  async #open(store: KillableStore, schedules: Schedules): Promise<void> {
    const hold = inlineJob((_payload: unknown, job: JobContext) => this.#hold(job), { grace: 1 });
    const quick = inlineJob((_payload: unknown, job: JobContext) => this.#tell(job));
    const stubborn = inlineJob((_payload: unknown, job: JobContext) => this.#hold(job, true), {
      grace: '1d',
    });
    const jobs = { work: hold, stubborn, quick };
    const announcer = new Announcer(recordingLogger());
    announcer.emitter.on('warning', (error) => void this.warnings.push(error));
    announcer.emitter.on('cancelled', ({ id }) => void this.cancelled.push(id));
    let engine: EmbeddedEngine | undefined;
    const events = poolEvents(announcer, () => engine);
    const places = { concurrency: 100 };
    const handlers = {
      work: { handler: hold.handler, ...places },
      stubborn: { handler: stubborn.handler, ...places },
      quick: { handler: quick.handler, ...places },
    };
    const { clock } = this;
    const pool = new InlinePool(handlers, events, clock);
    engine = new EmbeddedEngine({
      settings: checkOptions({ directory: 'memory', jobs, schedules, clock }),
      journal: await Journal.open(store),
      clock,
      announcer,
      pools: { thread: pool, inline: pool },
      nativeTypes: new Set(),
      random: () => 0.5,
    });
    await engine.recover();
    this.#engine = engine;
    engine.begin();
  }

  #tell({ id, scheduledFor }: JobContext): void {
    this.began.push({ id, scheduledFor });
  }

  async #hold(job: JobContext, isStubborn = false): Promise<void> {
    this.#tell(job);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#held.set(job.id, resolve);
        if (isStubborn) return;
        job.signal.addEventListener('abort', () => reject(job.signal.reason), { once: true });
      });
    } finally {
      this.#held.delete(job.id);
    }
  }
}
