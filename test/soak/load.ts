/**
 * A mixed load at a bounded rate: all kinds of jobs and ends, and all that callers do with them. It adds nothing while
 * many jobs wait, so that what grows is not the backlog.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { MillraceError, type JobHandle } from '../../src/index.js';
import { Random } from '../crash/random.js';
import type { Engine, Name } from './catalogue.js';
import { MAX_BYTES, type Act, type Work } from './handler.js';

/** What payloads are filled with. */
const noise = randomBytes(MAX_BYTES);

/** While so many jobs wait, no more are added. */
export const MAX_WAITING = 300;
const TICK_MS = 20;
/** Ids that are used again and again: free each time their job is no longer kept. */
const NAMED = 300;

interface Share<Value> {
  readonly weight: number;
  readonly draw: (random: Random) => Value;
}

interface Drawn {
  readonly name: Name;
  readonly act: Act;
}

const fixed = (name: Name, act: Act) => (): Drawn => ({ name, act });

/** What takes a thread with it, or its timeout, holds up the rest, so it is rare. */
const JOBS: readonly [Share<Drawn>, ...Share<Drawn>[]] = [
  { weight: 60, draw: (random) => ({ name: 'quick', act: { do: 'return', bytes: size(random) } }) },
  { weight: 8, draw: (random) => ({ name: 'quick', act: { do: 'throw', times: random.integer(1, 4) } }) },
  { weight: 2, draw: fixed('quick', { do: 'giveUp' }) },
  { weight: 6, draw: (random) => ({ name: 'slow', act: { do: 'wait', ms: random.integer(1, 8) } }) },
  { weight: 20, draw: (random) => ({ name: 'mail', act: { do: 'wait', ms: random.integer(0, 15) } }) },
  { weight: 3, draw: (random) => ({ name: 'mail', act: { do: 'throw', times: random.integer(1, 4) } }) },
  { weight: 0.3, draw: fixed('late', { do: 'listen' }) },
  { weight: 0.06, draw: fixed('deadly', { do: 'block' }) },
  { weight: 0.06, draw: fixed('deadly', { do: 'exit' }) },
];

/** Mostly small, seldom large. */
function size(random: Random): number {
  const { upTo } = random.weighted([
    { upTo: 200, weight: 85 },
    { upTo: 10_000, weight: 14 },
    { upTo: MAX_BYTES, weight: 1 },
  ]);
  return random.integer(0, upTo);
}

type Operation = (load: Load) => Promise<void>;

const OPERATIONS: readonly [Share<Operation>, ...Share<Operation>[]] = [
  { weight: 40, draw: () => (load) => load.enqueue().then(() => {}) },
  { weight: 20, draw: () => (load) => load.await() },
  { weight: 6, draw: () => (load) => load.watch() },
  { weight: 12, draw: () => (load) => load.enqueueNamed() },
  { weight: 8, draw: () => (load) => load.enqueueLater() },
  { weight: 6, draw: () => (load) => load.enqueueAndCancel() },
  { weight: 4, draw: () => (load) => load.enqueueMany() },
  { weight: 4, draw: () => (load) => load.look() },
];

export class Load {
  readonly #engine: Engine;
  readonly #random: Random;
  /** How many operations a tick has. */
  readonly #perTick: number;
  readonly #stop = new AbortController();
  /** Those that are under way. */
  readonly #calls = new Set<Promise<void>>();
  /** What an operation came to that nobody expected. */
  readonly failures: unknown[] = [];

  constructor(engine: Engine, operationsPerSecond: number, seed: number) {
    this.#engine = engine;
    this.#perTick = (operationsPerSecond * TICK_MS) / 1_000;
    this.#random = new Random(seed);
  }

  /** Goes on until {@link stop}. */
  async run(): Promise<void> {
    let due = 0;
    while (!this.#stop.signal.aborted) {
      const { scheduled, available, retryable } = await this.#engine.counts();
      due = Math.min(due + this.#perTick, 2 * this.#perTick + 1);
      if (scheduled + available + retryable < MAX_WAITING) {
        for (; due >= 1; due--) this.#begin();
      }
      await wait(TICK_MS);
    }
    await Promise.all(this.#calls);
  }

  stop(): void {
    this.#stop.abort();
  }

  #begin(): void {
    const operation = this.#random.weighted(OPERATIONS).draw(this.#random);
    const call = operation(this)
      // What jobs come to is told by their events.
      .catch((thrown: unknown) => {
        if (!(thrown instanceof MillraceError) || !EXPECTED.has(thrown.code)) this.failures.push(thrown);
      })
      .finally(() => this.#calls.delete(call));
    this.#calls.add(call);
  }

  #job(): { name: Name; payload: Work } {
    const { name, act } = this.#random.weighted(JOBS).draw(this.#random);
    return { name, payload: { act, filling: noise.subarray(0, size(this.#random)) } };
  }

  enqueue(): Promise<JobHandle> {
    const { name, payload } = this.#job();
    return this.#engine.enqueue(name, payload, { priority: this.#random.integer(-2, 2) });
  }

  /** Some give up on the result before it is there. */
  async await(): Promise<void> {
    const job = await this.enqueue();
    if (this.#random.chance(0.7)) await job.result();
    // Not one that is made of a signal that lives long: Node.js keeps something of each such one.
    else await job.result({ signal: AbortSignal.timeout(5) }).catch(() => {});
  }

  /** Some stop watching before the job has ended. */
  async watch(): Promise<void> {
    const job = await this.enqueue();
    for await (const _ of job.progress()) if (this.#random.chance(0.5)) break;
  }

  async enqueueNamed(): Promise<void> {
    const id = `named-${this.#random.integer(1, NAMED)}`;
    const act: Act = { do: 'return', bytes: size(this.#random) };
    const payload: Work = { act, filling: noise.subarray(0, size(this.#random)) };
    await this.#engine.enqueue('quick', payload, { id });
  }

  async enqueueLater(): Promise<void> {
    const { name, payload } = this.#job();
    await this.#engine.enqueue(name, payload, { delay: this.#random.integer(1, 2_000), durability: 'os' });
  }

  async enqueueAndCancel(): Promise<void> {
    const { name, payload } = this.#job();
    const delay = this.#random.chance(0.5) ? 1_000 : 0;
    const job = await this.#engine.enqueue(name, payload, { delay });
    await job.cancel();
  }

  async enqueueMany(): Promise<void> {
    const items = Array.from({ length: this.#random.integer(2, 20) }, () => this.#job());
    await this.#engine.enqueueMany(items);
  }

  /** At a job that is there, or not any more. */
  async look(): Promise<void> {
    const job = this.#engine.handle('quick', `named-${this.#random.integer(1, NAMED)}`);
    await job.snapshot();
  }
}

const EXPECTED: ReadonlySet<string> = new Set([
  'MILLRACE_JOB_FAILED',
  'MILLRACE_JOB_CANCELLED',
  'MILLRACE_JOB_NOT_FOUND',
]);
