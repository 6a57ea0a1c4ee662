/** Where jobs are: the pages of the queues, of what is due, and of what runs. */
import { expect, test } from 'vitest';
import { MAX_PRIORITY, MIN_PRIORITY, type JobSpec, type JobStatus } from '../../src/job/record.js';
import { cancelled, claimed, expired, promoted, settled } from '../../src/job/transitions.js';
import { dueAtOf, keyedSpan, laneNameOf, rankOf, typeOf } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { claim, dueIds, enqueue, move, openOn, readyIds, runningIds, texts } from './harness.js';

const RETRY = { delayMs: 1_000 };
const errored = (status: JobStatus, now: number): JobStatus =>
  settled(status, { kind: 'errored', error: Uint8Array.of(1), unrecoverable: false }, RETRY, now);

export function indexSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: a job that has not ended is in one place, and one that has in none of them`, async () => {
    const { journal } = await openOn(await createDisk());
    const places = async (): Promise<string[][]> =>
      Promise.all([readyIds(journal), dueIds(journal), runningIds(journal)]);
    let [job = jobOf(1)] = await enqueue(journal, specOf(1, { runAt: NOW + 5 }));
    expect(await places()).toStrictEqual([[], ['job-1'], []]);
    job = await move(journal, job, promoted(job.status));
    expect(await places()).toStrictEqual([['job-1'], [], []]);
    job = await claim(journal, job);
    expect(await places()).toStrictEqual([[], [], ['job-1']]);
    job = await move(journal, job, errored(job.status, NOW));
    expect(await places()).toStrictEqual([[], ['job-1'], []]);
    job = await move(journal, job, promoted(job.status));
    job = await claim(journal, job);
    job = await move(journal, job, cancelled(job.status, NOW));
    expect(await places()).toStrictEqual([[], [], ['job-1']]);
    await move(journal, job, errored(job.status, NOW));
    expect(await places()).toStrictEqual([[], [], []]);
  });

  test(`${name}: a job with a deadline is found by it until the write that ends it`, async () => {
    const { journal, store } = await openOn(await createDisk());
    const ids = (): Promise<string[]> => texts((after) => journal.indexes.deadlines(after, 1));
    await enqueue(
      journal,
      specOf(3, { deadlineAt: NOW + 9 }),
      specOf(4),
      specOf(2, { deadlineAt: NOW + 2 ** 33 }),
    );
    let [job = jobOf(1)] = await enqueue(journal, specOf(1, { deadlineAt: NOW + 10, runAt: NOW + 5 }));
    expect(await ids()).toStrictEqual(['job-3', 'job-1', 'job-2']);
    job = await move(journal, job, promoted(job.status));
    job = await claim(journal, job);
    job = await move(journal, job, errored(job.status, NOW));
    expect(await ids()).toStrictEqual(['job-3', 'job-1', 'job-2']);
    const writes = store.writes.length;
    await move(journal, job, expired(job, NOW + 10));
    expect(store.writes.length).toBe(writes + 1);
    expect(await ids()).toStrictEqual(['job-3', 'job-2']);
  });

  test(`${name}: what another journal had is found by its deadline where it waits, and what is removed is not`, async () => {
    const { journal } = await openOn(await createDisk());
    const job = jobOf(1, { deadlineAt: NOW + 9 });
    const ended = jobOf(2, { deadlineAt: NOW + 8 }, cancelled(job.status, NOW));
    const change = new Transaction();
    for (const { spec, status } of [job, ended]) change.restore(spec, status);
    await journal.commit(change);
    const ids = (): Promise<string[]> => texts((after) => journal.indexes.deadlines(after, 10));
    expect(await ids()).toStrictEqual(['job-1']);
    await journal.commit(new Transaction().remove(job));
    expect(await ids()).toStrictEqual([]);
  });

  test(`${name}: the available jobs of a queue come by priority, then in the order of enqueue`, async () => {
    const { journal } = await openOn(await createDisk());
    const priorities = [0, 5, -1, MAX_PRIORITY, 0, MIN_PRIORITY, 5];
    await enqueue(journal, ...priorities.map((priority, i) => specOf(i + 1, { priority })));
    expect(await readyIds(journal)).toStrictEqual([
      'job-4',
      'job-2',
      'job-7',
      'job-1',
      'job-5',
      'job-3',
      'job-6',
    ]);
  });

  test(`${name}: the order of enqueue is the order of large numbers, too`, async () => {
    const { journal } = await openOn(await createDisk());
    const sequences = [2 ** 32 + 1, 9, 2 ** 32, 15, 16, 10, 2 ** 50, 255, 256];
    await enqueue(journal, ...sequences.map((sequence) => specOf(sequence)));
    const expected = sequences.sort((a, b) => a - b).map((sequence) => `job-${sequence}`);
    expect(await readyIds(journal)).toStrictEqual(expected);
  });

  test(`${name}: a page of a queue has no jobs of another, however alike their names`, async () => {
    const { journal } = await openOn(await createDisk());
    const queues = ['a', 'a.b', 'a-', 'a:0', 'ab', 'A', '_'];
    await enqueue(journal, ...queues.map((queue, i) => specOf(i + 1, { queue })));
    for (const [i, queue] of queues.entries()) {
      expect(await readyIds(journal, queue)).toStrictEqual([`job-${i + 1}`]);
    }
    expect(await readyIds(journal, 'nobody')).toStrictEqual([]);
  });

  test(`${name}: the lanes of a queue are the job types that wait in it, whatever is gone before them`, async () => {
    const { journal } = await openOn(await createDisk());
    const names = ['mail', 'a', 'mail', 'ab', 'a.b', 'a-'];
    const jobs = await enqueue(journal, ...names.map((name, i) => specOf(i + 1, { name })));
    await enqueue(journal, specOf(9, { name: 'other', queue: 'low' }));
    expect((await journal.indexes.readyTypes('default')).sort()).toStrictEqual([
      'a',
      'a-',
      'a.b',
      'ab',
      'mail',
    ]);
    for (const job of jobs.slice(0, 2)) await claim(journal, job);
    expect((await journal.indexes.readyTypes('default')).sort()).toStrictEqual(['a-', 'a.b', 'ab', 'mail']);
    expect(await journal.indexes.readyTypes('nobody')).toStrictEqual([]);
    const page = await journal.indexes.ready('default', 'a', undefined, 10);
    expect(page).toStrictEqual({ entries: [] });
  });

  test(`${name}: jobs with concurrency keys have lanes of their own, which tell of their types`, async () => {
    const { journal } = await openOn(await createDisk());
    const keys = ['t', 't.1', 'T!', '~', 'ä', 't'];
    const types = ['a', 'a-', 'ab'];
    const specs = types.flatMap((name, at) =>
      keys.map((concurrencyKey, i) => specOf(1 + at * 10 + i, { name, concurrencyKey })),
    );
    await enqueue(journal, ...specs, specOf(99, { name: 'a' }));
    expect((await journal.indexes.readyTypes('default')).sort()).toStrictEqual(types);
    for (const type of types) {
      const { lanes, isLast } = await journal.indexes.readyLanes(keyedSpan('default', type), 100);
      expect(isLast).toBe(true);
      const own = specs.filter((spec) => spec.name === type);
      expect([...lanes].sort()).toStrictEqual([...new Set(own.map(laneNameOf))].sort());
      expect(lanes).toHaveLength(5);
      expect(new Set(lanes.map(typeOf))).toStrictEqual(new Set([type]));
    }
    const some = await journal.indexes.readyLanes(keyedSpan('default', 'a'), 2);
    expect(some.isLast).toBe(false);
    const [spec] = specs;
    const { entries } = await journal.indexes.ready('default', spec ? laneNameOf(spec) : '', undefined, 10);
    expect(entries.map(({ text }) => text)).toStrictEqual(['job-1', 'job-6']);
    const plain = await journal.indexes.ready('default', 'a', undefined, 10);
    expect(plain.entries.map(({ text }) => text)).toStrictEqual(['job-99']);
  });

  test(`${name}: what is due comes first, and what runs comes in the order of claims`, async () => {
    const { journal } = await openOn(await createDisk());
    const offsets = [500, 0, 2 ** 33, 499, 500];
    await enqueue(journal, ...offsets.map((offset, i) => specOf(i + 1, { runAt: NOW + offset })));
    expect(await dueIds(journal)).toStrictEqual(['job-2', 'job-4', 'job-1', 'job-5', 'job-3']);
    const { entries } = await journal.indexes.due(undefined, 10);
    expect(entries.map(({ key }) => dueAtOf(key))).toStrictEqual(
      [0, 499, 500, 500, 2 ** 33].map((offset) => NOW + offset),
    );

    const jobs = await enqueue(journal, specOf(11), specOf(12), specOf(13));
    for (const job of jobs.toReversed()) await claim(journal, job);
    expect(await runningIds(journal)).toStrictEqual(['job-13', 'job-12', 'job-11']);
  });

  test(`${name}: pages follow each other without gap or repetition, whatever is added between them`, async () => {
    const { journal } = await openOn(await createDisk());
    await enqueue(journal, ...Array.from({ length: 10 }, (_, i) => specOf(2 * i + 2)));
    const first = await journal.indexes.ready('default', 'resize', undefined, 4);
    expect(first.entries.map(({ text }) => text)).toStrictEqual([2, 4, 6, 8].map((n) => `job-${n}`));
    await enqueue(journal, specOf(1), specOf(9));
    const second = await journal.indexes.ready('default', 'resize', first.next, 4);
    expect(second.entries.map(({ text }) => text)).toStrictEqual([9, 10, 12, 14].map((n) => `job-${n}`));
    const last = await journal.indexes.ready('default', 'resize', second.next, 4);
    expect(last.entries).toHaveLength(3);
    expect(last).not.toHaveProperty('next');
  });

  test(`${name}: an exact page says that there may be more, and the next one is empty`, async () => {
    const { journal } = await openOn(await createDisk());
    await enqueue(journal, specOf(1), specOf(2));
    const { next } = await journal.indexes.ready('default', 'resize', undefined, 2);
    expect(await journal.indexes.ready('default', 'resize', next, 2)).toStrictEqual({ entries: [] });
  });

  test(`${name}: the keys of a page tell the rank, the claim and the id of a job`, async () => {
    const { journal } = await openOn(await createDisk());
    const spec: JobSpec = specOf(77, { id: 'two words', priority: -3 });
    const [job = jobOf(77)] = await enqueue(journal, spec);
    const [ready] = (await journal.indexes.ready('default', 'resize', undefined, 1)).entries;
    expect(ready?.text).toBe('two words');
    expect(rankOf(ready?.key ?? '')).toStrictEqual({ priority: -3, sequence: 77 });
    await move(journal, job, claimed(job.status, 4_711, NOW));
    const [running] = (await journal.indexes.running(undefined, 1)).rosters;
    expect(running).toMatchObject({ claim: 4_711, ids: ['two words'] });
  });
}
