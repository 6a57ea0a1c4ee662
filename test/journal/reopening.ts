/** A journal that was opened again after a failed write: it goes by what is there. */
import { expect, test } from 'vitest';
import { enqueued } from '../../src/job/transitions.js';
import { laneSpan } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { specOf } from '../fixtures/jobs.js';
import { enqueue, openOn, readyIds, type Opened } from './harness.js';

const refused = { code: 'MILLRACE_JOURNAL_WRITE_FAILED' };

/** A journal with one job, whose next writes fail. */
async function openFailing(createDisk: DiskFactory): Promise<Opened> {
  const opened = await openOn(await createDisk());
  await enqueue(opened.journal, specOf(opened.journal.nextSequence()));
  opened.store.failure = new Error('no space left');
  return opened;
}

export function reopeningSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: what could not be written is not there, and what comes then is taken`, async () => {
    const { journal, store } = await openFailing(createDisk);
    await expect(enqueue(journal, specOf(journal.nextSequence()))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    expect(journal.failure).toBeUndefined();
    const later = specOf(journal.nextSequence());
    await enqueue(journal, later);
    expect(await readyIds(journal)).toStrictEqual(['job-1', later.id]);
    expect(journal.counts().available).toBe(2);
  });

  test(`${name}: where it cannot be written yet it stays failed, and can be opened later`, async () => {
    const { journal, store } = await openFailing(createDisk);
    await expect(enqueue(journal, specOf(2))).rejects.toMatchObject(refused);
    await expect(journal.reopen()).rejects.toMatchObject({ message: 'no space left' });
    expect(journal.failure).toMatchObject(refused);
    await expect(enqueue(journal, specOf(3))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    await enqueue(journal, specOf(4));
    expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-4']);
  });

  test(`${name}: each failure is told, also that of the journal opened again`, async () => {
    const { journal, store } = await openFailing(createDisk);
    const failures: unknown[] = [];
    journal.onFailure = (error) => failures.push(error);
    await expect(enqueue(journal, specOf(2))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    store.failure = new Error('again');
    await expect(enqueue(journal, specOf(3))).rejects.toMatchObject({
      ...refused,
      cause: { message: 'again' },
    });
    expect(failures).toMatchObject([refused, refused]);
  });

  test(`${name}: a sequence number that never reached the disk is not given again, nor after a kill`, async () => {
    const disk = await createDisk();
    const { journal, store } = await openOn(disk);
    store.failure = new Error('no space left');
    const numbers = Array.from({ length: 20_000 }, () => journal.nextSequence());
    await expect(enqueue(journal, specOf(numbers.at(-1) ?? 0))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    const next = journal.nextSequence();
    expect(next).toBeGreaterThan(numbers.at(-1) ?? 0);
    const after = await openOn(await disk.afterKill());
    expect(after.journal.nextSequence()).toBeGreaterThan(next);
  });

  test(`${name}: nor is one that is given while it is being opened again`, async () => {
    const { journal, store } = await openOn(await createDisk());
    store.failure = new Error('no space left');
    await expect(enqueue(journal, specOf(journal.nextSequence()))).rejects.toMatchObject(refused);
    store.failure = undefined;
    const numbers: number[] = [];
    const page = store.page.bind(store);
    // Somebody goes on with checking what came before.
    store.page = (range) => {
      numbers.push(journal.nextSequence());
      return page(range);
    };
    await journal.reopen();
    expect(numbers.length).toBeGreaterThan(0);
    expect(journal.nextSequence()).toBeGreaterThan(numbers.at(-1) ?? Infinity);
  });

  test(`${name}: what was to stay whatever mark is raised stays so`, async () => {
    const { journal, store } = await openFailing(createDisk);
    const [entry] = (await journal.indexes.ready('default', 'resize', undefined, 1)).entries;
    journal.pin(entry?.key ?? '');
    await expect(enqueue(journal, specOf(2))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    const span = laneSpan('default', 'resize');
    journal.raiseMark(span.from, span.to);
    expect(await readyIds(journal)).toStrictEqual(['job-1']);
  });

  test(`${name}: a change that was decided before is refused, and one that was read for after is not`, async () => {
    const { journal, store } = await openFailing(createDisk);
    const { generation } = journal;
    await expect(enqueue(journal, specOf(2))).rejects.toMatchObject(refused);
    store.failure = undefined;
    await journal.reopen();
    const spec = specOf(journal.nextSequence());
    const change = (): Transaction => new Transaction().enqueue(spec, enqueued(spec));
    await expect(journal.commit(change().readIn(generation))).rejects.toMatchObject(refused);
    await journal.commit(change().readIn(journal.generation));
    expect(journal.counts().available).toBe(2);
  });

  test(`${name}: closing waits for it to be opened, and it is not opened again then`, async () => {
    const { journal, store } = await openFailing(createDisk);
    await expect(enqueue(journal, specOf(2))).rejects.toMatchObject(refused);
    store.failure = undefined;
    const reopening = journal.reopen();
    await journal.close();
    await reopening;
    expect(store.isClosed).toBe(true);
    expect(() => journal.reopen()).toThrow(expect.objectContaining({ code: 'MILLRACE_CLOSED' }));
  });
}
