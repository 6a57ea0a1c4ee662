/**
 * A backlog beside what is known of its jobs: it checks, at each choice, that the limit of a key holds, that the job waits,
 * and that no key waits for more than a round; and in the end that nothing was forgotten.
 */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import type { JobSpec } from '../../src/job/record.js';
import type { Choice } from '../../src/runtime/backlog.js';
import { memoryDisk } from '../fixtures/disks.js';
import { always, BacklogBench as Bench, type BenchOptions } from './backlog-bench.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const next = (bench: Bench): Choice | undefined => bench.backlog.next(always, always);

/** What happens to the jobs of some keys. */
export type Step =
  | { do: 'enqueue'; key: number; count: number; priority: number }
  | { do: 'pick' | 'commit' | 'end' | 'cancel' | 'giveBack'; which: number }
  | { do: 'reload' };

export const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof<fc.MaybeWeightedArbitrary<Step>[]>(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('enqueue' as const),
        key: fc.nat({ max: 6 }),
        count: fc.integer({ min: 1, max: 6 }),
        priority: fc.integer({ min: -1, max: 1 }),
      }),
    },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('pick' as const), which: fc.nat() }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('commit' as const, 'end' as const), which: fc.nat() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'giveBack' as const), which: fc.nat() }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const) }) },
  ),
  { maxLength: 60 },
);

export class KeyedModel {
  readonly #limit: number;
  readonly #options: BenchOptions;
  readonly #waiting = new Map<string, { readonly key: string | undefined; readonly spec: JobSpec }>();
  readonly #running: { readonly key: string | undefined; readonly choice: Choice }[] = [];
  /** Chosen, and still in the journal. */
  readonly #uncommitted: Choice[] = [];
  /** How many turns others had while a key had a job that could run. */
  readonly #waited = new Map<string, number>();
  #bench: Bench | undefined;

  constructor(limit: number, windowSize: number) {
    this.#limit = limit;
    this.#options = { keys: { resize: limit }, windowSize };
  }

  async open(): Promise<void> {
    this.#bench = await Bench.open(await memoryDisk(), this.#options);
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'enqueue':
        return this.#enqueue(step.key, step.count, step.priority);
      case 'pick':
        return this.#pick();
      case 'commit':
        return this.#commit(step.which);
      case 'end':
        return this.#end(step.which);
      case 'cancel':
        return this.#cancel(step.which);
      case 'giveBack':
        return this.#giveBack(step.which);
      case 'reload':
        return this.#reload();
    }
  }

  /** All that waits is handed out in the end. */
  async finish(): Promise<void> {
    while (this.#waiting.size > 0) {
      const before = this.#waiting.size;
      await this.#pick();
      if (this.#waiting.size === before) {
        expect(this.#running, 'something waits that nothing holds back').not.toHaveLength(0);
        await this.#end(0);
      }
    }
    await this.#commitAll();
    await settled();
    expect(next(this.#own)).toBeUndefined();
    await this.#own.close();
  }

  get #own(): Bench {
    if (!this.#bench) throw new Error('It is not open');
    return this.#bench;
  }

  async #enqueue(key: number, count: number, priority: number): Promise<void> {
    // Key 0 is none.
    const concurrencyKey = key === 0 ? undefined : `tenant ${key}`;
    const own = concurrencyKey === undefined ? { priority } : { concurrencyKey, priority };
    const jobs = await this.#own.enqueueMany(Array.from({ length: count }, () => own));
    for (const { spec } of jobs) this.#waiting.set(spec.id, { key: concurrencyKey, spec });
  }

  async #pick(): Promise<void> {
    await settled();
    let choice = next(this.#own);
    const open = this.#openKeys();
    // It may have found that it has to read, or have no room until the journal has let go what was chosen.
    for (let i = 0; i < 6 && !choice; i++) {
      if (i === 3) await this.#commitAll();
      await settled();
      choice = next(this.#own);
    }
    if (!choice) {
      expect(open, 'nothing is handed out').toStrictEqual([]);
      return;
    }
    const job = this.#waiting.get(choice.id);
    expect(job, `${choice.id} waits`).toBeDefined();
    this.#waiting.delete(choice.id);
    const key = job?.key;
    this.#running.push({ key, choice });
    if (key !== undefined) expect(this.#runningOf(key)).toBeLessThanOrEqual(this.#limit);
    this.#checkTurns(open, key);
    this.#uncommitted.push(choice);
  }

  async #commit(which: number): Promise<void> {
    const [choice] = this.#uncommitted.splice(which % Math.max(1, this.#uncommitted.length), 1);
    if (choice) await this.#own.commitClaim(choice);
  }

  async #commitAll(): Promise<void> {
    while (this.#uncommitted.length > 0) await this.#commit(0);
  }

  #checkTurns(open: readonly string[], served: string | undefined): void {
    for (const key of this.#waited.keys()) if (!open.includes(key)) this.#waited.delete(key);
    if (served === undefined) return;
    for (const key of open) this.#waited.set(key, (this.#waited.get(key) ?? 0) + 1);
    this.#waited.delete(served);
    // A turn of each other key, and of each other that came new.
    for (const [key, count] of this.#waited) expect(count, key).toBeLessThanOrEqual(2 * 5);
  }

  async #end(which: number): Promise<void> {
    const [ended] = this.#running.splice(which % Math.max(1, this.#running.length), 1);
    if (!ended) return;
    const at = this.#uncommitted.indexOf(ended.choice);
    if (at >= 0) await this.#commit(at);
    this.#own.backlog.end(ended.choice);
  }

  async #cancel(which: number): Promise<void> {
    const job = [...this.#waiting.values()][which % Math.max(1, this.#waiting.size)];
    if (!job) return;
    this.#waiting.delete(job.spec.id);
    const [read] = await this.#own.journal.jobs([job.spec.id]);
    if (read && 'spec' in read) await this.#own.cancel(read);
  }

  /** A job that was chosen, and could not be read. */
  async #giveBack(_which: number): Promise<void> {
    await settled();
    const choice = next(this.#own);
    if (!choice) return;
    this.#own.backlog.end(choice);
    this.#own.backlog.giveBack(choice);
    await this.#own.clock.advance(1_000);
    await settled();
  }

  /** As after an outage of the journal. */
  async #reload(): Promise<void> {
    await this.#commitAll();
    await this.#own.backlog.stop();
    await this.#own.backlog.load();
    this.#waited.clear();
  }

  #runningOf(key: string): number {
    return this.#running.filter((one) => one.key === key).length;
  }

  /** The keys that have a job which nothing holds back. */
  #openKeys(): string[] {
    const keys = new Set([...this.#waiting.values()].map(({ key }) => key ?? ''));
    return [...keys].filter((key) => key === '' || this.#runningOf(key) < this.#limit);
  }
}

/** Whatever is being read is there. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await turn();
}
