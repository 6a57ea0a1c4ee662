/** The room that removed jobs took is given back, piece by piece. */
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Compactor } from '../../src/runtime/compactor.js';
import { levelDisk, memoryDisk, type DiskFactory } from '../fixtures/disks.js';
import { specOf } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const PAYLOAD = 100_000;
const MB = 2 ** 20;

async function open(createDisk: DiskFactory) {
  const store = new StoreSpy(await (await createDisk()).open());
  const journal = await Journal.open(store);
  const warnings = new Recorder<MillraceError>();
  const compactor = new Compactor({ journal, onWarning: warnings.push });
  onTestFinished(async () => {
    await compactor.stop();
    await journal.close();
  });
  return { store, journal, warnings, compactor };
}

const idOf = (n: number): string => `job-${String(n).padStart(5, '0')}`;

/** Adds jobs that are large. */
async function add(journal: Journal, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const spec = specOf(n, { id: idOf(n), payload: randomBytes(PAYLOAD) });
    await journal.commit(new Transaction().enqueue(spec, enqueued(spec)));
  }
}

/** And removes some of them, as the pruner does. */
async function remove(journal: Journal, compactor: Compactor, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const job = await journal.job(idOf(n));
    if (!job || job instanceof MillraceError) throw new Error(`There is no job ${n}`);
    await journal.commit(new Transaction().remove(job));
    compactor.removed(idOf(n), PAYLOAD);
  }
}

test('what was removed takes no room any more, and what stays is what it was', async () => {
  const { store, journal, warnings, compactor } = await open(levelDisk);
  await add(journal, 0, 500);
  await remove(journal, compactor, 0, 400);
  const size = (): Promise<number> => journal.sizeOf(idOf(0), idOf(500));
  const before = await size();
  compactor.begin();
  await compactor.passed();
  expect(before).toBeGreaterThan(25 * MB);
  expect(await size()).toBeLessThan(14 * MB);
  expect((await journal.jobs([399, 400, 499].map(idOf))).map((job) => job !== undefined)).toEqual([
    false,
    true,
    true,
  ]);
  // In pieces that follow each other, from the first to the last that was removed; specs and statuses.
  const specs = store.compactions.filter(([from]) => from.startsWith('j!'));
  expect(specs.length).toBeGreaterThan(5);
  expect(specs[0]?.[0]).toBe(`j!${idOf(0)}`);
  expect(specs.at(-1)?.[1]).toBe(`j!${idOf(399)}`);
  for (const [i, [from]] of specs.entries()) if (i > 0) expect(from).toBe(specs[i - 1]?.[1]);
  expect(store.compactions).toHaveLength(2 * specs.length);
  expect(warnings.all).toEqual([]);
});

test('nothing is copied for little, nor where much more lives between what was removed', async () => {
  const { store, journal, compactor } = await open(levelDisk);
  await add(journal, 0, 800);
  await remove(journal, compactor, 0, 100);
  compactor.begin();
  await compactor.passed();
  expect(store.compactions).toEqual([]);
  // Less than a third of what lies in between, by now.
  await remove(journal, compactor, 720, 800);
  compactor.begin();
  await compactor.passed();
  expect(store.compactions).toEqual([]);
});

test('in memory there is nothing to do', async () => {
  const { journal, compactor, warnings } = await open(memoryDisk);
  await add(journal, 0, 200);
  await remove(journal, compactor, 0, 200);
  compactor.begin();
  await compactor.passed();
  expect(warnings.all).toEqual([]);
});

test('once stopped it ends behind the piece that is under way, and goes on when it is started', async () => {
  const { store, journal, compactor } = await open(memoryDisk);
  await add(journal, 0, 400);
  await remove(journal, compactor, 0, 200);
  compactor.begin();
  await compactor.stop();
  expect(store.compactions.length).toBeLessThanOrEqual(2);
  compactor.start();
  await remove(journal, compactor, 200, 400);
  compactor.begin();
  await compactor.passed();
  expect(store.compactions.length).toBeGreaterThan(4);
});

test('what goes wrong is told, and the next time it is tried again', async () => {
  const { store, journal, compactor, warnings } = await open(memoryDisk);
  await add(journal, 0, 400);
  await remove(journal, compactor, 0, 200);
  store.compactionFailure = new Error('no luck');
  compactor.begin();
  await compactor.passed();
  expect(warnings.all).toMatchObject([
    { code: 'MILLRACE_JOURNAL_READ_FAILED', cause: { message: 'no luck' } },
  ]);
  store.compactionFailure = undefined;
  store.compactions.length = 0;
  await remove(journal, compactor, 200, 400);
  compactor.begin();
  await compactor.passed();
  expect(store.compactions.length).toBeGreaterThan(4);
  expect(warnings.all).toHaveLength(1);
});
