/** The process is killed at every write of a schedule's life, before the disk has it and after: no tick is lost or doubled. */
import { describe, expect, it } from 'vitest';
import type { JobState, Overlap } from '../../src/index.js';
import type { Kill } from '../fixtures/killable-store.js';
import { MINUTE, ScheduleBench } from './bench.js';

const START = Date.parse('2026-03-01T12:00:00Z');
const idOf = (tick: number): string => `s@${new Date(START + tick * 10 * MINUTE).toISOString()}`;

/** What the jobs of the three ticks come to; a tick whose predecessor is going has none where it is skipped. */
const EXPECTED: Record<Overlap, readonly (JobState | undefined)[]> = {
  allow: ['completed', 'completed', 'completed'],
  skip: ['completed', undefined, 'completed'],
  queue: ['completed', 'completed', 'completed'],
  cancelPrevious: ['cancelled', 'completed', 'completed'],
};

/** Three ticks: the job of the first one is going when the second comes; all have ended when the third does. */
class Life {
  readonly bench: ScheduleBench;
  readonly #overlap: Overlap;
  #kill: Kill | undefined;

  constructor(bench: ScheduleBench, overlap: Overlap, kill?: Kill) {
    this.bench = bench;
    this.#overlap = overlap;
    this.#kill = kill;
  }

  async live(): Promise<void> {
    const { bench } = this;
    bench.clock.jump(START - bench.clock.now());
    await this.#start();
    await this.#do(() => this.#passTo(1));
    await this.#do(() => this.#passTo(2));
    await this.#do(() => this.#letAllGo());
    await this.#do(() => this.#passTo(3));
    await this.#do(() => this.#letAllGo());
  }

  /** Whoever was killed is followed by another process, to which nothing happens. */
  async #do(act: () => Promise<void>): Promise<void> {
    await act();
    if (!this.bench.store.isDead) return;
    this.bench.kill();
    this.#kill = undefined;
    await this.#start();
    // What is left of it: the clock is where it should be by now.
    await act();
  }

  async #start(): Promise<void> {
    const s = { job: 'work', every: '10m', overlap: this.#overlap, misfire: 'all' } as const;
    await this.bench.start({ s }, this.#kill);
    if (!this.bench.store.isDead) return;
    this.bench.kill();
    this.#kill = undefined;
    await this.bench.start({ s });
  }

  async #passTo(tick: number): Promise<void> {
    const { bench } = this;
    await bench.pass(Math.max(0, START + tick * 10 * MINUTE - bench.clock.now()));
  }

  async #letAllGo(): Promise<void> {
    for (let { held } = this.bench; held.length > 0 && !this.bench.store.isDead; { held } = this.bench)
      for (const id of held) await this.bench.letGo(id);
  }
}

async function live(overlap: Overlap, kill?: Kill): Promise<ScheduleBench> {
  const bench = await ScheduleBench.make();
  await new Life(bench, overlap, kill).live();
  return bench;
}

async function statesOf(bench: ScheduleBench): Promise<(JobState | undefined)[]> {
  const jobs = await Promise.all([1, 2, 3].map((tick) => bench.engine.snapshot(idOf(tick))));
  return jobs.map((job) => job?.state);
}

describe.each(Object.keys(EXPECTED) as Overlap[])('overlap %s', (overlap) => {
  const expected = EXPECTED[overlap];
  const count = expected.filter((state) => state !== undefined).length;

  async function check(bench: ScheduleBench): Promise<void> {
    expect(await statesOf(bench)).toEqual(expected);
    const { completed, cancelled, ...others } = await bench.engine.counts();
    expect(completed + cancelled).toBe(count);
    expect(Object.values(others).every((jobs) => jobs === 0)).toBe(true);
    const [schedule] = await bench.engine.schedules.list();
    expect(schedule).toMatchObject({
      state: 'active',
      runCount: count,
      upcoming: [START + 40 * MINUTE],
      lastRun: { jobId: idOf(3), outcome: 'completed' },
    });
    expect(bench.warnings).toEqual([]);
  }

  it('without a kill', async () => {
    await check(await live(overlap));
  });

  it('killed at any write', async () => {
    const { writes } = (await live(overlap)).store;
    expect(writes).toBeGreaterThan(8);
    for (let write = 1; write <= writes; write++) {
      for (const when of ['before', 'after'] as const) {
        const bench = await live(overlap, { write, when });
        await check(bench).catch((thrown: unknown) => {
          throw new Error(`Killed ${when} write ${write}`, { cause: thrown });
        });
        await bench.stop();
      }
    }
  });
});
