/** What the pruner keeps and what it removes, whatever the journal lies on. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EndedState } from '../../src/job/record.js';
import { enqueued } from '../../src/job/transitions.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Disk, DiskFactory } from '../fixtures/disks.js';
import { specOf } from '../fixtures/jobs.js';
import { PrunerBench, REST, RETENTION } from './pruner-bench.js';

const DAY = 86_400_000;

/** Of a process that was killed: what it left behind, with a pruner that goes on. */
const afterKill = async (bench: PrunerBench, disk: Disk = bench.disk): Promise<PrunerBench> =>
  PrunerBench.open(await disk.afterKill(), bench.clock);

export function prunerSuite(name: string, createDisk: DiskFactory): void {
  const open = async (): Promise<PrunerBench> => {
    const bench = await PrunerBench.open(await createDisk());
    bench.pruner.start();
    await bench.pruner.passed();
    return bench;
  };

  test(`${name}: a job is removed once it was kept as long as its state says, and not before`, async () => {
    const bench = await open();
    const ids: string[] = [];
    for (const state of ['completed', 'cancelled', 'failed'] as const) ids.push(...(await bench.end(state)));
    const [completed = '', cancelled = '', failed = ''] = ids;
    await bench.advance(9_999);
    expect(await bench.kept(ids)).toStrictEqual(ids);
    await bench.advance(1 + REST);
    expect(await bench.kept(ids)).toStrictEqual([cancelled, failed]);
    expect(bench.journal.counts()).toMatchObject({ completed: 0, cancelled: 1, failed: 1 });
    await bench.advance(20_000);
    expect(await bench.kept(ids)).toStrictEqual([failed]);
    await bench.advance(30_000);
    expect(await bench.kept([completed, cancelled, failed])).toStrictEqual([]);
    expect(await bench.keys()).toStrictEqual([]);
    expect(bench.journal.counts()).toMatchObject({ completed: 0, cancelled: 0, failed: 0 });
  });

  test(`${name}: each type has a time of its own, and one that the code does not know the default`, async () => {
    const bench = await open();
    const resized = await bench.end('completed');
    const mailed = await bench.end('completed', { name: 'mail' });
    const unknown = await bench.end('completed', { name: 'former' });
    const ids = [...resized, ...mailed, ...unknown];
    await bench.advance(10_000 + REST);
    expect(await bench.kept(ids)).toStrictEqual([...mailed, ...unknown]);
    await bench.advance(10_000);
    expect(await bench.kept(ids)).toStrictEqual(unknown);
    await bench.advance(DAY - 20_000 - REST - 1);
    expect(await bench.kept(ids)).toStrictEqual(unknown);
    await bench.advance(1 + REST);
    expect(await bench.kept(ids)).toStrictEqual([]);
  });

  test(`${name}: what is not to be kept goes soon, and what is to be kept for ever stays, without a timer`, async () => {
    const bench = await open();
    const gone = await bench.end('completed', { name: 'brief', count: 3 });
    const kept = await bench.end('failed', { name: 'brief' });
    await bench.advance(REST);
    expect(await bench.kept([...gone, ...kept])).toStrictEqual(kept);
    expect(bench.clock.isIdle).toBe(true);
    const next = await afterKill(bench);
    next.pruner.start();
    await next.pruner.passed();
    expect(await next.kept(kept)).toStrictEqual(kept);
    expect(next.clock.isIdle).toBe(true);
  });

  test(`${name}: what flows hold is not read again at every pass, and goes when they are through`, async () => {
    for (const [type, state, stay] of [
      ['brief', 'completed', 0],
      // Beside those that are held.
      ['few', 'failed', 3],
    ] as const) {
      const bench = await open();
      let reads = 0;
      bench.store.onRead = async () => void reads++;
      // Whoever of it has not ended holds the others.
      const last = specOf(bench.journal.nextSequence(), { flow: 'flow' });
      await bench.journal.commit(new Transaction().enqueue(last, enqueued(last)));
      const held: string[] = [];
      for (let i = 0; i < 12; i++)
        held.push(...(await bench.end(state, { name: type, flow: 'flow', count: 100 })));
      await bench.advance(REST);
      expect(reads).toBeGreaterThan(6);
      expect(await bench.kept(held)).toHaveLength(held.length);
      // More of them, which are held, too, and others that are not.
      for (let i = 0; i < 5; i++) {
        held.push(...(await bench.end(state, { name: type, flow: 'flow', count: 5 })));
        const free = await bench.end(state, { name: type, count: 5 });
        reads = 0;
        await bench.advance(REST);
        // Where there is a bound, those that are held are passed over only once others are to go.
        if (stay === 0 || i > 0) expect(reads).toBeLessThan(12);
        expect(await bench.kept(free)).toStrictEqual(free.slice(free.length - stay));
      }
      expect(await bench.kept(held)).toHaveLength(held.length);
      await bench.cancel(last);
      // The job that was cancelled goes in a pass of its own.
      await bench.advance(60_000);
      await bench.advance(2 * REST);
      // Those of no flow ended later.
      expect(await bench.kept(held), type).toStrictEqual([]);
    }
  });

  for (const state of ['completed', 'failed', 'cancelled'] as const) {
    test(`${name}: jobs of an open flow are no part of a bound, and are from its end on: ${state}`, async () => {
      let bench = await open();
      const last = await bench.enqueue({ name: 'mail', flow: 'flow' });
      const older = await bench.end(state, { name: 'few', count: 3 });
      await bench.advance(1);
      const held = await bench.end(state, { name: 'few', flow: 'flow', count: 12 });
      await bench.advance(REST);
      expect(await bench.kept([...older, ...held])).toStrictEqual([...older, ...held]);
      const younger = await bench.end(state, { name: 'few', count: 2 });
      await bench.advance(REST);
      // Of those that are free the three that ended last stay.
      const kept = [...older.slice(2), ...held, ...younger];
      expect(await bench.kept([...older, ...held, ...younger])).toStrictEqual(kept);
      bench = await afterKill(bench);
      bench.pruner.start();
      await bench.pruner.passed();
      await bench.advance(REST);
      expect(await bench.kept(kept)).toStrictEqual(kept);
      await bench.cancel(last);
      await bench.advance(REST);
      expect(await bench.kept(kept)).toStrictEqual([...held.slice(11), ...younger]);
    });
  }

  test(`${name}: where jobs of a flow are passed over, those of one that has ended go first all the same`, async () => {
    const bench = await open();
    const last = await bench.enqueue({ name: 'mail', flow: 'short' });
    await bench.enqueue({ name: 'mail', flow: 'long' });
    const long = await bench.end('failed', { name: 'few', flow: 'long', count: 50 });
    const short = await bench.end('failed', { name: 'few', flow: 'short', count: 50 });
    await bench.advance(1);
    // Some go, from behind those that are held.
    const free = await bench.end('failed', { name: 'few', count: 5 });
    await bench.advance(REST);
    expect(await bench.kept(free)).toStrictEqual(free.slice(2));
    await bench.cancel(last);
    await bench.advance(REST);
    expect(await bench.kept(free)).toStrictEqual(free.slice(2));
    await bench.advance(REST);
    expect(await bench.kept([...long, ...short, ...free])).toStrictEqual([...long, ...free.slice(2)]);
  });

  test(`${name}: a flow of which a job is retried holds the others again`, async () => {
    const bench = await open();
    const flow = await bench.end('completed', { name: 'few', flow: 'flow', count: 2 });
    await bench.advance(REST);
    const older = await bench.end('completed', { name: 'few', count: 1 });
    await bench.advance(REST);
    const [failed = ''] = await bench.end('failed', { flow: 'flow' });
    await bench.retry(failed);
    await bench.advance(REST);
    const free = await bench.end('completed', { name: 'few', count: 2 });
    await bench.advance(2 * REST);
    const all = [...flow, ...older, ...free];
    expect(await bench.kept(all)).toStrictEqual(all);
  });

  test(`${name}: jobs that ended together and have gone leave the counters of their queues exact`, async () => {
    const bench = await open();
    const change = new Transaction();
    const waiting = specOf(900, { queue: 'low' });
    await bench.journal.commit(change.enqueue(waiting, enqueued(waiting)));
    await bench.end('completed', { queue: 'low', count: 450 });
    await bench.end('completed', { count: 30 });
    const kept = await bench.end('failed', { queue: 'low' });
    await bench.advance(10_000 + REST);
    expect(bench.journal.counts('low')).toMatchObject({ completed: 0, failed: 1, available: 1 });
    expect(bench.journal.counts('default')).toMatchObject({ completed: 0 });
    expect(await bench.kept([waiting.id, ...kept])).toStrictEqual([waiting.id, ...kept]);
  });

  test(`${name}: only what goes is read, and what stays is not`, async () => {
    const bench = await open();
    await bench.end('completed', { count: 3 });
    await bench.advance(5_000);
    for (let i = 0; i < 20; i++) await bench.end('completed', { count: 2 });
    bench.store.pages.length = 0;
    await bench.advance(5_000 + REST);
    expect(bench.journal.counts()).toMatchObject({ completed: 40 });
    const read = bench.store.pages.flatMap(({ entries }) => entries);
    // The roster that goes, and the first that stays, whose time comes next.
    expect(read).toHaveLength(2);
  });

  test(`${name}: the next process does not walk over what was removed, not even to find the job types`, async () => {
    const bench = await open();
    for (let i = 0; i < 30; i++) await bench.end('completed');
    await bench.end('completed', { name: 'former' });
    await bench.advance(10_000 + REST);
    const kept = await bench.end('completed');
    await bench.advance(1);
    // The mark travels with the next write.
    await bench.end('failed');
    const next = await afterKill(bench);
    const key = (await next.keys()).find((one) => one.startsWith('f!completed!resize!')) ?? '';
    next.store.pages.length = 0;
    next.pruner.start();
    await next.pruner.passed();
    const froms = next.store.pages.map(({ range }) => range.from).filter((from) => from.startsWith('f!comp'));
    const inLane = froms.filter((from) => from.startsWith('f!completed!resize!'));
    expect(inLane).not.toStrictEqual([]);
    // All but the walks before the first lane and between lanes begin where something was removed last, or behind.
    expect(inLane.every((from) => from > 'f!completed!resize!' && from <= key)).toBe(true);
    await next.advance(10_000 + REST);
    expect(await next.kept(kept)).toStrictEqual([]);
  });

  test(`${name}: what an earlier process has left goes when its time has come`, async () => {
    const bench = await PrunerBench.open(await createDisk());
    const old = await bench.end('completed', { count: 250 });
    await bench.clock.advance(5_000);
    const young = await bench.end('completed');
    await bench.clock.advance(5_000);
    const next = await afterKill(bench);
    next.pruner.start();
    await next.pruner.passed();
    expect(await next.kept([...old, ...young])).toStrictEqual(young);
    await next.advance(5_000);
    expect(await next.kept(young)).toStrictEqual([]);
  });

  test(`${name}: a kill after any of its writes loses no count, and the next process goes on`, async () => {
    const bench = await PrunerBench.open(await createDisk());
    const ids = await bench.end('completed', { count: 450 });
    const other = await bench.end('completed', { count: 30, queue: 'low' });
    await bench.clock.advance(10_000);
    const left: number[] = [];
    let dying: PrunerBench | undefined = bench;
    // Each process dies behind its first write, and the next one goes on with what it has left.
    while (dying) {
      const { store, pruner, disk, clock }: PrunerBench = dying;
      const died = new Promise<Disk | undefined>((resolve, reject) => {
        store.onWritten = () => disk.afterKill().then(resolve, reject);
        pruner.start();
        void pruner.passed().then(() => resolve(undefined));
      });
      const found = await died;
      await dying.close();
      dying = found && (await PrunerBench.open(found, clock));
      if (!dying) break;
      const kept = await dying.kept([...ids, ...other]);
      expect(dying.journal.counts().completed).toBe(kept.length);
      left.push(kept.length);
    }
    expect(left.length).toBeGreaterThan(1);
    expect(left.at(-1)).toBe(0);
  });

  test(`${name}: a job that ends while the clock stands behind those before it is found, too`, async () => {
    const bench = await open();
    await bench.end('completed');
    await bench.advance(10_000 + REST);
    await bench.end('completed');
    bench.clock.jump(-DAY);
    const behind = await bench.end('completed');
    await bench.advance(10_000 + REST);
    expect(await bench.kept(behind)).toStrictEqual([]);
  });

  test(`${name}: whatever ends when, it goes in its time and never before, over any kills`, async () => {
    type Step = readonly [what: 'end' | 'advance' | 'hold' | 'letGo' | 'kill' | 'jump', n: number];
    const anyStep: fc.Arbitrary<Step> = fc.tuple(
      fc.constantFrom<Step[0]>('end', 'end', 'end', 'advance', 'advance', 'hold', 'letGo', 'kill', 'jump'),
      fc.nat(12_000),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 40, size: 'max' }), async (walk) => {
        const life = new Life(await open());
        for (const step of walk) await life.take(step);
        await life.check();
        await life.toItsEnd();
      }),
      { numRuns: name === 'memory' ? 150 : 20, endOnFailure: true },
    );
  });
}

const STATES: readonly EndedState[] = ['completed', 'failed', 'cancelled'];
const TYPES = ['resize', 'mail', 'brief'] as const;

/** Processes one after the other on a journal in which jobs end. */
class Life {
  #bench: PrunerBench;
  #ends: Promise<void>[] = [];
  /** When each job may go. */
  readonly #mayGoAt = new Map<string, number>();
  #latest = 0;

  constructor(bench: PrunerBench) {
    this.#bench = bench;
  }

  async take([what, n]: readonly [what: 'end' | 'advance' | 'hold' | 'letGo' | 'kill' | 'jump', n: number]) {
    const { clock, store } = this.#bench;
    if (what === 'end') this.#end(STATES[n % 3] ?? 'failed', TYPES[(n >> 2) % 3] ?? 'brief', 1 + (n % 4));
    else if (what === 'advance') await clock.advance(n);
    else if (what === 'jump') clock.jump((n % 3) - 1);
    else if (what === 'hold') store.hold();
    else if (what === 'letGo') store.letGo();
    else await this.#kill();
    this.#latest = Math.max(this.#latest, clock.now());
  }

  /** What was not to go is there, and counted. */
  async check(): Promise<void> {
    const bench = this.#bench;
    bench.store.letGo();
    await Promise.all(this.#ends.splice(0));
    await bench.pruner.passed();
    const ids = [...this.#mayGoAt].filter(([, at]) => at > this.#latest).map(([id]) => id);
    expect(await bench.kept(ids)).toStrictEqual(ids);
    const { completed, failed, cancelled } = bench.journal.counts();
    expect(completed + failed + cancelled).toBe((await bench.keys()).filter(isSpec).length);
  }

  /** Only what is kept for ever is left, and no timer. */
  async toItsEnd(): Promise<void> {
    const bench = this.#bench;
    while (!bench.clock.isIdle) await bench.advance(DAY);
    const forEver = [...this.#mayGoAt].filter(([, at]) => at === Infinity).map(([id]) => id);
    const left = await bench.keys();
    expect(left.filter(isSpec).sort()).toStrictEqual(forEver.map((id) => `j!${id}`).sort());
    expect(left.filter((key) => !isSpec(key) && !key.startsWith('f!'))).toHaveLength(forEver.length);
    expect(left.every((key) => !key.startsWith('f!') || key.startsWith('f!failed!brief!'))).toBe(true);
    expect(bench.warnings.all).toStrictEqual([]);
    await bench.close();
  }

  #end(state: EndedState, name: (typeof TYPES)[number], count: number): void {
    const at = this.#bench.clock.now() + RETENTION[name][state];
    const ended = this.#bench.end(state, { name, count });
    this.#ends.push(ended.then((ids) => ids.forEach((id) => this.#mayGoAt.set(id, at))));
  }

  async #kill(): Promise<void> {
    await this.check();
    const bench = this.#bench;
    this.#bench = await afterKill(bench);
    await bench.close();
    this.#bench.pruner.start();
  }
}

const isSpec = (key: string): boolean => key.startsWith('j!');
