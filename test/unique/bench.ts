/**
 * Engines on one disk in memory, one process after the other, under a clock that stands still until a test moves it. The
 * handlers of `work` and `other` hold their runs until they are let go.
 */
import { onTestFinished } from 'vitest';
import {
  inlineJob,
  type EnqueueOptions,
  type JobContext,
  type JobState,
  type MillraceError,
  type Retention,
} from '../../src/index.js';
import { Journal } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { checkOptions } from '../../src/options.js';
import { InlinePool } from '../../src/pool/inline-pool.js';
import { Announcer } from '../../src/runtime/announcer.js';
import { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { poolEvents } from '../../src/runtime/pool-events.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { KillableStore, type Kill } from '../fixtures/killable-store.js';
import { recordingLogger } from '../fixtures/logger.js';

export const RETAINED_MS = 10_000;
const RETENTION: Retention = { completed: RETAINED_MS, failed: RETAINED_MS, cancelled: RETAINED_MS };

export class UniqueBench {
  readonly clock = new FakeClock();
  readonly disk = new MemoryDisk();
  readonly warnings: MillraceError[] = [];
  /** Of all processes: `started id`, `cancelled id`. */
  readonly told: string[] = [];
  readonly #held = new Map<string, () => void>();
  #engine: EmbeddedEngine | undefined;
  #store: KillableStore | undefined;
  #fragile: FragileStore | undefined;

  private constructor() {
    onTestFinished(() => this.stop());
  }

  static async make(kill?: Kill): Promise<UniqueBench> {
    const bench = new UniqueBench();
    await bench.start(kill);
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

  /** Its writes fail when a test says so. */
  get fragile(): FragileStore {
    if (!this.#fragile) throw new Error('No process is running');
    return this.#fragile;
  }

  /** A process begins. */
  async start(kill?: Kill): Promise<void> {
    const fragile = new FragileStore(openMemoryStore(this.disk));
    const store = new KillableStore(fragile, kill);
    this.#fragile = fragile;
    this.#store = store;
    await this.#unlessDead(this.#open(store), store);
    await store.quiet();
  }

  /** The process ends as it should, and what runs is released. */
  async stop(): Promise<void> {
    const [engine, store] = [this.#engine, this.#store];
    this.#engine = undefined;
    if (engine && store && !store.isDead) await engine.close(0);
  }

  /** The process is gone, with its handlers. */
  kill(): void {
    this.#store?.die();
    this.#engine = undefined;
    this.#held.clear();
  }

  async restart(): Promise<void> {
    this.kill();
    await this.start();
  }

  /** @returns the id of the job, once all has come to rest; `died` where the process did meanwhile. */
  async enqueue(options: EnqueueOptions, name = 'work', payload: unknown = null): Promise<string> {
    const { engine, store } = this;
    const enqueued = engine.enqueue(name, payload, options).then(({ id }) => id);
    const id = await this.#unlessDead(enqueued, store);
    await store.quiet();
    return id;
  }

  async stateOf(id: string): Promise<JobState | undefined> {
    return (await this.engine.snapshot(id))?.state;
  }

  /** Time passes; after each timer everything comes to rest. */
  async pass(ms: number): Promise<void> {
    const until = this.clock.monotonic() + ms;
    for (let before = -1; before !== this.clock.monotonic();) {
      before = this.clock.monotonic();
      await this.clock.advanceToNext(until);
      await this.store.settled();
    }
    await this.clock.advance(until - this.clock.monotonic());
    await this.store.quiet();
  }

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

  /** The unique keys that have an entry, whoever it names. */
  get entries(): string[] {
    return this.disk.keys().filter((key) => key.startsWith('u!'));
  }

  /** @returns what comes of it, or `died` where the process does meanwhile. */
  async #unlessDead<Value>(work: Promise<Value>, store: KillableStore): Promise<Value | 'died'> {
    const progress = { isOver: false };
    const done = work.finally(() => (progress.isOver = true));
    const died = async (): Promise<'died'> => {
      while (!progress.isOver && !store.isDead) await new Promise((resolve) => setImmediate(resolve));
      return 'died';
    };
    return Promise.race([done, died()]);
  }

  async #open(store: KillableStore): Promise<void> {
    const hold = inlineJob((_payload: unknown, job: JobContext) => this.#hold(job), {
      grace: 1,
      retention: RETENTION,
    });
    const jobs = { work: hold, other: hold };
    const announcer = new Announcer(recordingLogger());
    for (const event of ['started', 'cancelled'] as const)
      announcer.emitter.on(event, ({ id }) => this.told.push(`${event} ${id}`));
    announcer.emitter.on('warning', (warning) => this.warnings.push(warning));
    let engine: EmbeddedEngine | undefined;
    const handler = { handler: hold.handler, concurrency: 100 };
    const pool = new InlinePool(
      { work: handler, other: handler },
      poolEvents(announcer, () => engine),
      this.clock,
    );
    const opened = new EmbeddedEngine({
      settings: checkOptions({ directory: 'memory', jobs, queues: { default: {} } }),
      journal: await Journal.open(store),
      clock: this.clock,
      announcer,
      pools: { thread: pool, inline: pool },
      nativeTypes: new Set(),
      random: () => 0,
    });
    engine = opened;
    await opened.recover();
    this.#engine = opened;
    opened.begin();
  }

  #hold(job: JobContext): Promise<void> {
    return new Promise((resolve, reject) => {
      const letGo = (): void => {
        this.#held.delete(job.id);
        resolve();
      };
      this.#held.set(job.id, letGo);
      job.signal.addEventListener('abort', () => {
        if (this.#held.get(job.id) === letGo) this.#held.delete(job.id);
        reject(new Error('asked to stop'));
      });
    });
  }
}
