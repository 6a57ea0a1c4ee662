/** Jobs and counters: what was committed is read back, also by the next process. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JobSpec, JobStatus } from '../../src/job/record.js';
import { claimed, settled } from '../../src/job/transitions.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { claim, enqueue, move, openOn, plain } from './harness.js';
import { anyWalk, JournalModel } from './journal-model.js';

const FULL: JobSpec = {
  id: 'an id with spaces ! and 漢字 \u{1f600}',
  name: 'a.b/c:d-e',
  queue: 'mail',
  priority: -32_768,
  sequence: 2 ** 40,
  enqueuedAt: NOW,
  runAt: NOW + 5,
  durability: 'fsync',
  maxAttempts: 7,
  timeoutMs: 1_500,
  schedule: 'nightly/reports',
  scheduledFor: NOW + 4,
  payload: Uint8Array.of(0, 255, 1),
};

const FAILED: JobStatus = {
  state: 'failed',
  attempt: 2,
  startedAt: NOW,
  finishedAt: NOW + 3,
  cancelRequestedAt: NOW + 2,
  result: Uint8Array.of(9),
  errors: [{ attempt: 2, startedAt: NOW, endedAt: NOW + 3, error: Uint8Array.of(1, 2) }],
};

export function recordSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: a job is read back as it was enqueued, and as it was moved`, async () => {
    const { journal } = await openOn(await createDisk());
    const [job] = await enqueue(journal, FULL);
    expect(plain(await journal.job(FULL.id))).toStrictEqual(job);
    if (job) await move(journal, job, FAILED);
    expect(plain(await journal.job(FULL.id))).toStrictEqual({ spec: FULL, status: FAILED });
  });

  test(`${name}: several jobs are read in the order of their ids, and what is not there is nothing`, async () => {
    const { journal } = await openOn(await createDisk());
    const [first, second] = await enqueue(journal, specOf(1), specOf(2));
    expect(plain(await journal.jobs(['job-2', 'nobody', 'job-1', 'job-2']))).toStrictEqual([
      second,
      undefined,
      first,
      second,
    ]);
    expect(plain(await journal.job('nobody'))).toBeUndefined();
    expect(plain(await journal.jobs([]))).toStrictEqual([]);
  });

  test(`${name}: schedules are read by name, page by page, as they were put last`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const put = new Transaction();
    for (const [i, schedule] of ['c', 'a', 'e', 'b.x', 'd'].entries())
      put.putSchedule(schedule, Uint8Array.of(i));
    await journal.commit(put);
    const change = new Transaction()
      .putSchedule('a', Uint8Array.of(7))
      .removeSchedule('d')
      .removeSchedule('x');
    await journal.commit(change);
    await journal.close();
    const again = await openOn(disk);
    const first = await again.journal.indexes.schedules(undefined, 3);
    const second = await again.journal.indexes.schedules(first.next, 3);
    expect(plain([first.schedules, second.schedules])).toStrictEqual(
      plain([
        [
          { name: 'a', record: Uint8Array.of(7) },
          { name: 'b.x', record: Uint8Array.of(3) },
          { name: 'c', record: Uint8Array.of(0) },
        ],
        [{ name: 'e', record: Uint8Array.of(2) }],
      ]),
    );
    expect(second.next).toBeUndefined();
  });

  test(`${name}: what is read is the reader's own`, async () => {
    const { journal } = await openOn(await createDisk());
    const [job] = await enqueue(journal, specOf(1, { payload: Uint8Array.of(1, 2, 3) }));
    const read = await journal.job('job-1');
    if (read && 'spec' in read) read.spec.payload.fill(9);
    expect(plain(await journal.job('job-1'))).toStrictEqual(job);
  });

  test(`${name}: a claim leaves the stored status as it was before it`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1)] = await enqueue(journal, specOf(1));
    const running = await claim(journal, job);
    expect(running.status.state).toBe('running');
    expect(plain(await journal.job('job-1'))).toStrictEqual(job);
    const next = await openOn(await disk.afterKill());
    expect(plain(await next.journal.job('job-1'))).toStrictEqual(job);
    expect(next.journal.counts()).toMatchObject({ available: 0, running: 1 });
  });

  test(`${name}: what was acknowledged is there for the next process, closed or killed`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [first] = await enqueue(journal, specOf(1, { durability: 'fsync' }), specOf(2));
    const killed = await openOn(await disk.afterKill());
    expect(plain(await killed.journal.job('job-1'))).toStrictEqual(first);
    expect(killed.journal.counts().available).toBe(2);
    await killed.journal.close();
    await journal.close();
    const closed = await openOn(disk);
    expect(plain(await closed.journal.job('job-1'))).toStrictEqual(first);
    expect(closed.journal.queues()).toStrictEqual(['default']);
  });

  test(`${name}: the changes of one transaction are made all or none`, async () => {
    const disk = await createDisk();
    const { journal, store } = await openOn(disk);
    store.failure = new Error('disk full');
    const change = new Transaction();
    for (const { spec, status } of [jobOf(1), jobOf(2)]) change.enqueue(spec, status);
    await expect(journal.commit(change)).rejects.toThrow('disk full');
    await journal.close();
    const next = await openOn(disk);
    expect(plain(await next.journal.jobs(['job-1', 'job-2']))).toStrictEqual([undefined, undefined]);
    expect(next.journal.counts().available).toBe(0);
  });

  test(`${name}: sequence numbers never repeat, whether the journal was closed or its process killed`, async () => {
    let disk = await createDisk();
    let highest = 0;
    for (const ending of ['kill', 'close', 'kill', 'kill', 'close']) {
      const { journal } = await openOn(disk);
      const sequences = Array.from({ length: 20_000 }, () => journal.nextSequence());
      expect(sequences[0]).toBeGreaterThan(highest);
      expect(sequences.at(-1)).toBe((sequences[0] ?? 0) + 19_999);
      highest = sequences.at(-1) ?? 0;
      await enqueue(journal, specOf(highest));
      if (ending === 'close') await journal.close();
      else disk = await disk.afterKill();
    }
  });

  test(`${name}: a job that a transition moved through every state has its last status`, async () => {
    const { journal } = await openOn(await createDisk());
    let [job = jobOf(1)] = await enqueue(journal, specOf(1));
    job = await move(journal, job, claimed(job.status, journal.nextSequence(), NOW));
    job = await move(
      journal,
      job,
      settled(job.status, { kind: 'completed', result: Uint8Array.of(1) }, undefined, NOW),
    );
    expect(plain(await journal.job('job-1'))).toStrictEqual(job);
    expect(journal.counts('default')).toMatchObject({ available: 0, running: 0, completed: 1 });
  });

  test(
    `${name}: after any transitions, and any reopening, records, places and counters agree`,
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(anyWalk(), async (walk) => {
          const model = await JournalModel.on(await createDisk());
          for (const step of walk) await model.take(step);
          await model.check();
          await model.close();
        }),
        { numRuns: name === 'memory' ? 80 : 15 },
      );
    },
  );
}
