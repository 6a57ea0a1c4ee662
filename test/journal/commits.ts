/** Group commit: what arrives together is one write, and after the first failure there is none. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { JobSpec } from '../../src/job/record.js';
import { enqueued } from '../../src/job/transitions.js';
import type { Journal } from '../../src/journal/journal.js';
import { specKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { specOf } from '../fixtures/jobs.js';
import type { SpiedWrite } from '../fixtures/store-spy.js';
import { enqueue, openOn, readyIds, type Opened } from './harness.js';

const commit = (journal: Journal, spec: JobSpec): Promise<void> =>
  journal.commit(new Transaction().enqueue(spec, enqueued(spec)));

const specsIn = ({ keys }: SpiedWrite): string[] => keys.filter((key) => key.startsWith('j!'));
/** A journal whose only write so far was the format. */
async function openFresh(createDisk: DiskFactory): Promise<Opened> {
  const opened = await openOn(await createDisk());
  opened.store.writes.length = 0;
  return opened;
}

export function commitSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: what is committed in one turn is one write`, async () => {
    const { journal, store } = await openFresh(createDisk);
    await Promise.all([
      commit(journal, specOf(1)),
      Promise.resolve().then(() => commit(journal, specOf(2))),
      commit(journal, specOf(3)),
    ]);
    expect(store.writes.map(specsIn)).toStrictEqual([['job-1', 'job-3', 'job-2'].map(specKey)]);
  });

  test(`${name}: one write is in flight, and what arrives meanwhile is the next`, async () => {
    const { journal, store } = await openFresh(createDisk);
    store.hold();
    const first = commit(journal, specOf(1));
    while (store.writes.length === 0) await turn();
    const later = [2, 3, 4].map((sequence) => commit(journal, specOf(sequence)));
    for (let i = 0; i < 5; i++) await turn();
    expect(store.writes).toHaveLength(1);
    store.letGo();
    await Promise.all([first, ...later]);
    expect(store.writes.map((write) => specsIn(write).length)).toStrictEqual([1, 3]);
    expect(store.mostInFlight).toBe(1);
  });

  test(`${name}: an urgent commit does not wait for the disk because of others, and they come next`, async () => {
    const { journal, store } = await openFresh(createDisk);
    const change = (sequence: number): Transaction => {
      const spec = specOf(sequence);
      return new Transaction().enqueue(spec, enqueued(spec));
    };
    // The first write of a journal reserves sequence numbers, and syncs for that.
    await commit(journal, specOf(journal.nextSequence()));
    store.writes.length = 0;
    const resolved: string[] = [];
    await Promise.all([
      journal.commit(change(11)).then(() => resolved.push('os')),
      journal.commit(change(12).withSync()).then(() => resolved.push('synced')),
      journal.commit(change(13).asUrgent()).then(() => resolved.push('urgent')),
    ]);
    expect(resolved).toStrictEqual(['urgent', 'os', 'synced']);
    expect(store.writes.map(({ sync }) => sync)).toStrictEqual([false, true]);
    expect(store.writes.map(specsIn)).toStrictEqual([
      [specKey('job-13')],
      [specKey('job-11'), specKey('job-12')],
    ]);
  });

  test(`${name}: where nothing waits for the disk, an urgent commit goes with the others`, async () => {
    const { journal, store } = await openFresh(createDisk);
    await commit(journal, specOf(journal.nextSequence()));
    store.writes.length = 0;
    const spec = specOf(12);
    await Promise.all([
      commit(journal, specOf(11)),
      journal.commit(new Transaction().enqueue(spec, enqueued(spec)).asUrgent()),
    ]);
    expect(store.writes).toHaveLength(1);
  });

  test(`${name}: commits resolve in the order of the calls, and after their own write`, async () => {
    const { journal, store } = await openFresh(createDisk);
    const resolved: number[] = [];
    const wait = async (sequence: number): Promise<void> => {
      await commit(journal, specOf(sequence));
      expect(store.writes.flatMap(specsIn)).toContain(specKey(`job-${sequence}`));
      resolved.push(sequence);
    };
    const all = [wait(1), wait(2)];
    while (store.writes.length === 0) await turn();
    all.push(wait(3), wait(4));
    await Promise.all(all);
    expect(resolved).toStrictEqual([1, 2, 3, 4]);
  });

  test(`${name}: a write is synced if any of its members asks for it, and only then`, async () => {
    const { journal, store } = await openFresh(createDisk);
    await enqueue(journal, specOf(1), specOf(2));
    await enqueue(journal, specOf(3), specOf(4, { durability: 'fsync' }), specOf(5));
    await journal.commit(new Transaction().enqueue(specOf(6), enqueued(specOf(6))).withSync());
    expect(store.writes.map(({ sync }) => sync)).toStrictEqual([false, true, true]);
  });

  test(`${name}: counters change with the write and not before it`, async () => {
    const { journal, store } = await openFresh(createDisk);
    store.hold();
    const written = commit(journal, specOf(1));
    while (store.writes.length === 0) await turn();
    expect(journal.counts().available).toBe(0);
    store.letGo();
    await written;
    expect(journal.counts().available).toBe(1);
    const counts = journal.counts('default');
    counts.available = 99;
    expect(journal.counts('default').available).toBe(1);
  });

  test(`${name}: after the first failed write nothing more reaches the store`, async () => {
    const disk = await createDisk();
    const { journal, store } = await openOn(disk);
    await enqueue(journal, specOf(1));
    const failures: unknown[] = [];
    journal.onFailure = (error) => failures.push(error);
    store.hold();
    store.failure = new Error('no space left');
    const outcomes = Promise.allSettled([commit(journal, specOf(2)), commit(journal, specOf(3))]);
    const writes = store.writes.length + 1;
    while (store.writes.length < writes) await turn();
    const pending = Promise.allSettled([commit(journal, specOf(4))]);
    store.letGo();
    const rejected = [...(await outcomes), ...(await pending)];
    store.failure = undefined;
    rejected.push(...(await Promise.allSettled([commit(journal, specOf(5))])));
    for (const outcome of rejected) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'MILLRACE_JOURNAL_WRITE_FAILED' },
      });
    }
    expect(failures).toStrictEqual([journal.failure]);
    expect(journal.failure?.cause).toMatchObject({ message: 'no space left' });
    expect(journal.counts().available).toBe(1);
    expect(store.writes).toHaveLength(writes);
    await journal.close();
    expect(store.writes).toHaveLength(writes);
    const next = await openOn(disk);
    expect(await readyIds(next.journal)).toStrictEqual(['job-1']);
  });

  test(`${name}: a failure while the journal closes does not keep it open`, async () => {
    const { journal, store } = await openFresh(createDisk);
    store.failure = new Error('no space left');
    const outcome = Promise.allSettled([commit(journal, specOf(1))]);
    await journal.close();
    expect(await outcome).toMatchObject([{ status: 'rejected' }]);
    expect(store.isClosed).toBe(true);
  });

  test(`${name}: close writes what is waiting, and the store is closed after it`, async () => {
    const disk = await createDisk();
    const { journal, store } = await openOn(disk);
    store.hold();
    const first = commit(journal, specOf(1));
    while (!store.writes.some((write) => specsIn(write).length > 0)) await turn();
    const second = commit(journal, specOf(2));
    const closed = Promise.all([journal.close(), journal.close()]);
    for (let i = 0; i < 5; i++) await turn();
    expect(store.isClosed).toBe(false);
    store.letGo();
    await Promise.all([first, second, closed]);
    const next = await openOn(disk);
    expect(await readyIds(next.journal)).toStrictEqual(['job-1', 'job-2']);
  });

  test(`${name}: nothing is committed once the journal closes`, async () => {
    const { journal, store } = await openFresh(createDisk);
    const closed = journal.close();
    await expect(commit(journal, specOf(1))).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
    await closed;
    await expect(journal.job('job-1')).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
    await expect(journal.indexes.due(undefined, 1)).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
    await expect(commit(journal, specOf(1))).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
    expect(store.writes).toStrictEqual([]);
  });
}
