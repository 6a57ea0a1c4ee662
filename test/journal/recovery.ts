/** Recovery: what was running when the process died is available again. */
import { expect, test } from 'vitest';
import { decodeError } from '../../src/job/error-data.js';
import { cancelled, claimed, settled } from '../../src/job/transitions.js';
import { RUNNING_SPAN, specKey } from '../../src/journal/keys.js';
import type { Journal } from '../../src/journal/journal.js';
import { Transaction } from '../../src/journal/transaction.js';
import { recover } from '../../src/runtime/recovery.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { claim, claimNumber, enqueue, move, openOn, readyIds, runningIds, tamper } from './harness.js';

const ERROR = Uint8Array.of(0xc0);
const RETRY = { delayMs: 0 };

export function recoverySuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: orphans are available again, in their old places, and no attempt is counted`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const jobs = await enqueue(journal, ...[1, 2, 3, 4].map((sequence) => specOf(sequence)));
    for (const job of jobs.slice(1, 3).toReversed()) await claim(journal, job);

    const next = await openOn(await disk.afterKill());
    const { jobs: rescued, damaged } = await recover(next.journal, NOW);
    expect(damaged).toStrictEqual([]);
    expect(rescued.map(({ spec }) => spec.id)).toStrictEqual(['job-3', 'job-2']);
    for (const { status } of rescued) expect(status).toStrictEqual({ state: 'available', attempt: 0 });
    expect(await readyIds(next.journal)).toStrictEqual(['job-1', 'job-2', 'job-3', 'job-4']);
    expect(await runningIds(next.journal)).toStrictEqual([]);
    expect(next.journal.counts()).toMatchObject({ available: 4, running: 0 });
  });

  test(`${name}: an orphan keeps the attempts that counted before`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    let [job = jobOf(1)] = await enqueue(journal, specOf(1));
    job = await claim(journal, job);
    const error = { kind: 'errored', error: Uint8Array.of(1), unrecoverable: false } as const;
    job = await move(journal, job, settled(job.status, error, RETRY, NOW));
    job = await move(journal, job, { ...job.status, state: 'available' });
    await claim(journal, job);
    const next = await openOn(await disk.afterKill());
    const { jobs } = await recover(next.journal, NOW);
    expect(jobs[0]?.status).toMatchObject({ state: 'available', attempt: 1, errors: [{ attempt: 1 }] });
  });

  test(`${name}: an orphan whose cancel was acknowledged is cancelled`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1)] = await enqueue(journal, specOf(1));
    const running = await claim(journal, job);
    await move(journal, running, cancelled(running.status, NOW));
    const next = await openOn(await disk.afterKill());
    const { jobs } = await recover(next.journal, NOW + 1);
    expect(jobs[0]?.status).toMatchObject({ state: 'cancelled', finishedAt: NOW + 1 });
    expect(await readyIds(next.journal)).toStrictEqual([]);
    expect(next.journal.counts()).toMatchObject({ running: 0, available: 0, cancelled: 1 });
  });

  test(`${name}: recovering twice, or again after a kill in the middle, changes nothing more`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    for (const job of await enqueue(journal, ...Array.from({ length: 30 }, (_, i) => specOf(i + 1)))) {
      await claim(journal, job);
    }
    disk = await disk.afterKill();
    const first = await openOn(disk);
    expect((await recover(first.journal, NOW)).jobs).toHaveLength(30);
    expect((await recover(first.journal, NOW)).jobs).toHaveLength(0);
    const second = await openOn(await disk.afterKill());
    expect((await recover(second.journal, NOW)).jobs).toHaveLength(0);
    expect(await readyIds(second.journal)).toHaveLength(30);
    expect(second.journal.counts()).toMatchObject({ available: 30, running: 0 });
  });

  test(`${name}: a recovery that ends a job is durable before it is told; one that only releases is made again`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    const [kept = jobOf(1), ending = jobOf(2)] = await enqueue(journal, specOf(1), specOf(2));
    await claim(journal, kept);
    disk = await disk.afterKill();
    const first = await openOn(disk);
    await recover(first.journal, NOW);
    expect(first.store.writes.at(-1)?.sync).toBe(false);

    const running = await claim(first.journal, ending);
    await move(first.journal, running, cancelled(running.status, NOW));
    const second = await openOn(await disk.afterKill());
    await recover(second.journal, NOW);
    expect(second.store.writes.at(-1)?.sync).toBe(true);
  });

  test(`${name}: with nothing running, recovery writes nothing`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    await enqueue(journal, specOf(1));
    const next = await openOn(await disk.afterKill());
    const writes = next.store.writes.length;
    expect(await recover(next.journal, NOW)).toStrictEqual({
      jobs: [],
      damaged: [],
      lost: [],
      claims: new Map(),
    });
    expect(next.store.writes).toHaveLength(writes);
  });

  test(`${name}: the scan for orphans does not walk over the claims of former processes`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1), other = jobOf(2)] = await enqueue(journal, specOf(1), specOf(2));
    const claims: number[] = [];
    for (let i = 0; i < 5; i++) {
      const running = await claim(journal, job);
      claims.push(running.status.claim ?? 0);
      await move(journal, running, settled(running.status, { kind: 'released' }, undefined, NOW));
    }
    await recover(journal, NOW);
    await claim(journal, other);
    const next = await openOn(await disk.afterKill());
    next.store.pages.length = 0;
    expect((await recover(next.journal, NOW)).jobs.map(({ spec }) => spec.id)).toStrictEqual(['job-2']);
    const [scan] = next.store.pages;
    expect(scan?.range.from.startsWith(RUNNING_SPAN.from)).toBe(true);
    expect(Number.parseInt(scan?.range.from.slice(2) ?? '', 16)).toBeGreaterThan(Math.max(...claims));
  });

  test(`${name}: an orphan that cannot be read is reported at every opening, and does not stop the others`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    for (const job of await enqueue(journal, specOf(1), specOf(2), specOf(3))) await claim(journal, job);
    await journal.close();
    await tamper(disk, (key, value) => (key === 'j!job-2' ? value.map((byte) => ~byte) : undefined));
    for (const expected of [['job-1', 'job-3'], []]) {
      const next = await openOn(disk);
      const { jobs, damaged } = await recover(next.journal, NOW);
      expect(jobs.map(({ spec }) => spec.id)).toStrictEqual(expected);
      expect(damaged).toMatchObject([{ code: 'MILLRACE_JOURNAL_CORRUPT' }]);
      await enqueue(next.journal, specOf(next.journal.nextSequence()));
      disk = await disk.afterKill();
      await next.journal.close();
    }
  });

  test(`${name}: a job that has ended stays ended, whatever says that it is running`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1)] = await enqueue(journal, specOf(1));
    const ended = cancelled(job.status, NOW);
    // A marker without its transition, as no engine leaves it.
    await move(journal, { spec: job.spec, status: ended }, { ...ended, state: 'running', claim: 5 });
    await move(journal, job, ended);
    const { jobs, damaged } = await recover(journal, NOW);
    expect(jobs).toStrictEqual([]);
    expect(damaged).toStrictEqual([]);
    expect(await journal.job('job-1')).toMatchObject({ status: { state: 'cancelled' } });
  });

  test(`${name}: of jobs that were claimed together, only those are orphans that were not over`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    const jobs = await enqueue(journal, ...Array.from({ length: 4 }, (_, i) => specOf(i + 1)));
    const number = claimNumber(journal, ...jobs);
    const together = new Transaction();
    const running = jobs.map(({ spec, status }) => ({ spec, status: claimed(status, number, NOW) }));
    for (const [i, { spec, status }] of running.entries())
      together.move(spec, jobs[i]?.status ?? status, status);
    await journal.commit(together);
    const [over = jobOf(1), released = jobOf(2)] = running;
    const leave = new Transaction();
    const completed = settled(over.status, { kind: 'completed', result: Uint8Array.of(1) }, undefined, NOW);
    const available = settled(released.status, { kind: 'released' }, undefined, NOW);
    leave.move(over.spec, over.status, completed).move(released.spec, released.status, available);
    await journal.commit(leave);
    // One that was released is claimed anew, and its process dies, too.
    const again = claimed(available, claimNumber(journal, released), NOW);
    await journal.commit(new Transaction().move(released.spec, available, again));

    disk = await disk.afterKill();
    const next = await openOn(disk);
    const recovered = await recover(next.journal, NOW);
    expect(recovered.jobs.map(({ spec }) => spec.id)).toStrictEqual(['job-3', 'job-4', 'job-2']);
    expect(next.journal.counts()).toMatchObject({ available: 3, running: 0, completed: 1 });
    expect(await next.journal.indexes.running(undefined, 10)).toStrictEqual({ rosters: [] });
  });

  test(`${name}: a job that a power cut left on two rosters is released once`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1)] = await enqueue(journal, specOf(1));
    await claim(journal, job);
    const again = claimed(job.status, claimNumber(journal, job), NOW);
    await journal.commit(new Transaction().keepClaim(again.claim ?? 0, ['job-1']));
    const next = await openOn(await disk.afterKill());
    const { jobs } = await recover(next.journal, NOW);
    expect(jobs.map(({ spec }) => spec.id)).toStrictEqual(['job-1']);
    expect(next.journal.counts()).toMatchObject({ available: 1, running: 0 });
  });

  test(`${name}: a job that is no longer kept is not missed on its claim's roster`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const number = journal.nextSequence();
    await journal.commit(new Transaction().keepClaim(number, ['removed']));
    const next = await openOn(await disk.afterKill());
    expect(await recover(next.journal, NOW)).toStrictEqual({
      jobs: [],
      damaged: [],
      lost: [],
      claims: new Map(),
    });
    expect(await next.journal.indexes.running(undefined, 10)).toStrictEqual({ rosters: [] });
  });

  test(`${name}: a job on a claim's roster that is no longer kept leaves its id to another, which is no orphan`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [over = jobOf(1), other = jobOf(2)] = await enqueue(
      journal,
      specOf(1, { id: 'reused' }),
      specOf(2),
    );
    const number = claimNumber(journal, over, other);
    const together = new Transaction();
    const running = [over, other].map(({ spec, status }) => ({ spec, status: claimed(status, number, NOW) }));
    for (const [i, { spec, status }] of running.entries())
      together.move(spec, [over, other][i]?.status ?? status, status);
    await journal.commit(together);
    const [first = over] = running;
    const completed = settled(first.status, { kind: 'completed', result: Uint8Array.of(1) }, undefined, NOW);
    // Its claim stays open, for the other job goes on.
    await journal.commit(new Transaction().move(first.spec, first.status, completed));
    await journal.commit(new Transaction().remove({ spec: first.spec, status: completed }));
    await enqueue(journal, specOf(journal.nextSequence(), { id: 'reused' }));

    const next = await openOn(await disk.afterKill());
    const { jobs } = await recover(next.journal, NOW);
    expect(jobs.map(({ spec }) => spec.id)).toStrictEqual(['job-2']);
    expect(next.journal.counts()).toMatchObject({ available: 2, running: 0, completed: 0 });
    expect((await readyIds(next.journal)).sort()).toStrictEqual(['job-2', 'reused']);
  });

  test(`${name}: a roster keeps the orphan that cannot be read, and lets the others go`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const jobs = await enqueue(journal, specOf(1), specOf(2));
    const number = claimNumber(journal, ...jobs);
    const together = new Transaction();
    for (const { spec, status } of jobs) together.move(spec, status, claimed(status, number, NOW));
    await journal.commit(together);
    await journal.close();
    await tamper(disk, (key, value) =>
      key === specKey('job-1') ? value.map((byte) => byte ^ 1) : undefined,
    );
    const next = await openOn(disk);
    for (let times = 0; times < 2; times++) {
      const { damaged } = await recover(next.journal, NOW);
      expect(damaged).toMatchObject([{ code: 'MILLRACE_JOURNAL_CORRUPT' }]);
    }
    expect(await next.journal.indexes.running(undefined, 10)).toMatchObject({
      rosters: [{ claim: number, ids: ['job-1'] }],
    });
    expect(await readyIds(next.journal)).toStrictEqual(['job-2']);
  });

  const crashed = { maxCrashesOf: () => 2 };
  const suspectIds = async (journal: Journal): Promise<string[]> =>
    (await journal.indexes.suspects(undefined, 10)).entries.map(({ text }) => text);

  test(`${name}: all that were in flight at a crash come under suspicion, and are listed from the second time on`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    for (const job of await enqueue(journal, specOf(1), specOf(2), specOf(3))) await claim(journal, job);
    for (const suspicions of [1, 2, 2]) {
      disk = await disk.afterKill();
      const next = await openOn(disk);
      const { jobs } = await recover(next.journal, NOW, crashed);
      expect(jobs.map(({ status }) => status.suspicions)).toStrictEqual(jobs.map(() => suspicions));
      expect(await suspectIds(next.journal)).toStrictEqual(suspicions < 2 ? [] : ['job-1', 'job-2', 'job-3']);
      for (const job of jobs) await claim(next.journal, job);
    }
  });

  test(`${name}: a suspect is blamed only where it was the only one in flight, and fails for good at last`, async () => {
    let disk = await createDisk();
    const { journal } = await openOn(disk);
    const suspect = { state: 'available', attempt: 0, suspicions: 2 } as const;
    const add = new Transaction().restore(specOf(1), suspect).restore(specOf(2), suspect);
    await journal.commit(add);
    for (const sequence of [1, 2]) await claim(journal, jobOf(sequence, {}, suspect));
    disk = await disk.afterKill();
    const both = await openOn(disk);
    const { jobs } = await recover(both.journal, NOW, crashed);
    expect(jobs.map(({ status }) => status.crashes)).toStrictEqual([undefined, undefined]);

    let [job = jobOf(1)] = jobs;
    await claim(both.journal, job);
    disk = await disk.afterKill();
    const once = await openOn(disk);
    [job = jobOf(1)] = (await recover(once.journal, NOW, crashed)).jobs;
    expect(job.status).toMatchObject({ state: 'available', attempt: 0, crashes: 1 });
    expect(once.store.writes.at(-1)?.sync).toBe(false);

    await claim(once.journal, job);
    disk = await disk.afterKill();
    const twice = await openOn(disk);
    [job = jobOf(1)] = (await recover(twice.journal, NOW, crashed)).jobs;
    expect(job.status).toMatchObject({ state: 'failed', attempt: 0, crashes: 2 });
    expect(twice.store.writes.at(-1)?.sync).toBe(true);
    expect(decodeError(job.status.failure ?? ERROR)).toMatchObject({
      code: 'MILLRACE_JOB_CRASHED',
      message: expect.stringMatching(/resize job-1.* 2 times.*maxCrashes/),
    });
    expect(await suspectIds(twice.journal)).toStrictEqual(['job-2']);
    expect(twice.journal.counts()).toMatchObject({ available: 1, running: 0, failed: 1 });
  });

  test(`${name}: one that was alone and under no suspicion before is not to blame yet`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [job = jobOf(1)] = await enqueue(journal, specOf(1));
    await claim(journal, job);
    const next = await openOn(await disk.afterKill());
    const { jobs } = await recover(next.journal, NOW, { maxCrashesOf: () => 1 });
    expect(jobs.map(({ status }) => status)).toStrictEqual([
      { state: 'available', attempt: 0, suspicions: 1 },
    ]);
  });
}
