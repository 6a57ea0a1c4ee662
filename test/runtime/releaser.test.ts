/** Children of flows that change at the moment at which they are told of their parents, and what it takes to tell many. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { encode } from '../../src/job/codec.js';
import { encodeError } from '../../src/job/error-data.js';
import { cancelled, claimed, retried, settled } from '../../src/job/transitions.js';
import type { Job, JobStatus } from '../../src/job/record.js';
import { keepParentCount, waitFor } from '../../src/journal/flow-entries.js';
import { Journal, type JobRead } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Holds } from '../../src/runtime/holds.js';
import { IdleJobs, type IdleJobsLinks } from '../../src/runtime/idle-jobs.js';
import { Releaser } from '../../src/runtime/releaser.js';
import { StoreSpy } from '../fixtures/store-spy.js';
import { jobOf, NOW } from '../fixtures/jobs.js';

function idleJobs(journal: Journal): IdleJobs {
  // Safe: there is nothing to claim or promote, and nobody listens.
  const links = {
    journal,
    holds: new Holds(),
    executor: { has: () => false },
    stager: { isPromoting: () => false },
    announcer: { settled() {}, results: { gone() {} } },
    onChanged() {},
    assertWritable() {},
  } as unknown as IdleJobsLinks;
  return new IdleJobs(links);
}

/** All that is to be told when it is called. */
async function tellAll(journal: Journal, idle: Pick<IdleJobs, 'change'>): Promise<void> {
  let told = (): void => {};
  const pass = new Promise<void>((resolve) => (told = resolve));
  const onWarning = (error: Error): never => {
    throw error;
  };
  // Safe: it changes jobs, and nothing else.
  const all = { journal, clock: systemClock, idle: idle as IdleJobs, onPass: () => told(), onWarning };
  const releaser = new Releaser(all);
  releaser.start();
  await pass;
  await releaser.stop();
}

const flow = 'flow';
const parents = { one: 'job-1', other: 'job-2' };

/**
 * A child of two parents that was cancelled. One parent completes, and the other one when that was told.
 * @param meanwhile What happens to the child, each at the moment at which the next is told what there is to tell.
 */
async function childThat(
  completes: 'one' | 'other',
  ...meanwhile: readonly (readonly ((status: JobStatus) => JobStatus)[])[]
): Promise<{ readonly before: JobRead; readonly after: JobRead }> {
  const journal = await Journal.open(openMemoryStore(new MemoryDisk()));
  const one = jobOf(1, { flow, isParent: true });
  const other = jobOf(2, { flow, isParent: true });
  const child = jobOf(3, { flow, parents });
  const change = new Transaction();
  for (const { spec, status } of [one, other, child]) change.enqueue(spec, status);
  for (const parent of Object.values(parents)) waitFor(change, child.spec, parent);
  keepParentCount(change, child.spec.sequence, { count: 2, ignoresFailures: false });
  await journal.commit(change);
  const move = async ({ spec }: Job, next: (status: JobStatus) => JobStatus): Promise<void> => {
    const [read] = await journal.jobs([spec.id]);
    if (!read || !('status' in read)) throw new Error(`${spec.id} cannot be read`);
    await journal.commit(new Transaction().move(spec, read.status, next(read.status)));
  };
  const complete = (job: Job): Promise<void> =>
    move(job, (status) =>
      settled(claimed(status, 9, NOW), { kind: 'completed', result: encode(1) }, undefined, NOW),
    );
  await move(child, ended);
  const [first, second] = completes === 'one' ? [one, other] : [other, one];
  await complete(first);

  const idle = idleJobs(journal);
  const left = [...meanwhile];
  const slow: Pick<IdleJobs, 'change'> = {
    async change(ids, what) {
      for (const next of left.shift() ?? []) await move(child, next);
      return idle.change(ids, what);
    },
  };
  const look = (): Promise<void> => tellAll(journal, slow);
  await look();
  const [before] = await journal.jobs(['job-3']);
  await complete(second);
  await look();
  const [after] = await journal.jobs(['job-3']);
  await journal.close();
  return { before, after };
}

const again = (status: JobStatus): JobStatus => retried(status, true);
const ended = (status: JobStatus): JobStatus => cancelled(status, NOW);
const isOnce = { before: { status: { state: 'waiting' } }, after: { status: { state: 'available' } } };

test('a child that is run again while it is told of a parent waits for the other, and no longer', async () => {
  expect(await childThat('one', [again])).toMatchObject(isOnce);
});

test('and so does one that is cancelled then, and run again once more while it is told again', async () => {
  expect(await childThat('other', [again], [ended, again])).toMatchObject(isOnce);
});

const ends = {
  completed: { kind: 'completed', result: encode('x'.repeat(1_000)) },
  failed: { kind: 'errored', error: encodeError(new Error('broken')), unrecoverable: true },
} as const;

test.each([
  ['completed', undefined, 'available'],
  ['failed', 'ignore', 'available'],
  ['failed', undefined, 'failed'],
] as const)(
  'sixty children of sixty parents that have %s, with onParentFailure %s: each is read once, and is %s',
  async (end, onParentFailure, state) => {
    const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
    const journal = await Journal.open(store);
    const many = Array.from({ length: 60 }, (_, i) => i);
    const all = many.map((i) => jobOf(1 + i, { flow, isParent: true }));
    const ids = Object.fromEntries(all.map(({ spec: { id } }) => [id, id]));
    const policy = onParentFailure && { onParentFailure };
    const children = many.map((i) => jobOf(101 + i, { flow, parents: ids, ...policy }));
    const change = new Transaction();
    for (const { spec, status } of [...all, ...children]) change.enqueue(spec, status);
    for (const { spec } of children) {
      for (const id of Object.keys(ids)) waitFor(change, spec, id);
      keepParentCount(change, spec.sequence, { count: 60, ignoresFailures: onParentFailure === 'ignore' });
    }
    await journal.commit(change);
    const ending = new Transaction();
    for (const { spec, status } of all) {
      const running = claimed(status, 9, NOW);
      ending.move(spec, running, settled(running, ends[end], undefined, NOW));
    }
    await journal.commit(ending);
    const reads = new Map<string, number>();
    store.onRead = (keys) => {
      for (const key of keys) if (key.startsWith('j!')) reads.set(key, (reads.get(key) ?? 0) + 1);
    };
    await tellAll(journal, idleJobs(journal));
    store.onRead = undefined;
    for (const { spec } of children) expect(reads.get(`j!${spec.id}`)).toBe(1);
    // Once per commit at most that it is news in, and not at all where the news say all.
    const parents = all.map(({ spec }) => reads.get(`j!${spec.id}`) ?? 0);
    expect(Math.max(...parents)).toBeLessThanOrEqual(end === 'completed' ? 0 : 2);
    for (const read of await journal.jobs(children.map(({ spec }) => spec.id)))
      expect(read).toMatchObject({ status: { state } });
    // Nothing is left of what they waited for.
    expect((await journal.indexes.news(undefined, 1)).entries).toEqual([]);
    for (const id of Object.keys(ids)) expect((await journal.indexes.children(id, 1)).entries).toEqual([]);
    await journal.close();
  },
);
