/** Children of flows that change at the moment at which they are told of their parents. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { encode } from '../../src/job/codec.js';
import { cancelled, claimed, retried, settled } from '../../src/job/transitions.js';
import type { Job, JobStatus } from '../../src/job/record.js';
import { waitFor } from '../../src/journal/flow-entries.js';
import { Journal } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Holds } from '../../src/runtime/holds.js';
import { IdleJobs, type IdleJobsLinks } from '../../src/runtime/idle-jobs.js';
import { Releaser } from '../../src/runtime/releaser.js';
import { jobOf, NOW } from '../fixtures/jobs.js';

const flow = 'flow';
const parents = { one: 'job-1', other: 'job-2' };

test('a child that is run again while it is told of a parent waits for the other, and no longer', async () => {
  const journal = await Journal.open(openMemoryStore(new MemoryDisk()));
  const one = jobOf(1, { flow, isParent: true });
  const other = jobOf(2, { flow, isParent: true });
  const child = jobOf(3, { flow, parents });
  const change = new Transaction();
  for (const { spec, status } of [one, other, child]) change.enqueue(spec, status);
  waitFor(change, child.spec, Object.values(parents));
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
  await move(child, (status) => cancelled(status, NOW));
  await complete(one);

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
  const idle = new IdleJobs(links);
  let isRetried = false;
  const slow: Pick<IdleJobs, 'change'> = {
    async change(ids, what) {
      if (!isRetried) await move(child, (status) => retried(status, true));
      isRetried = true;
      return idle.change(ids, what);
    },
  };
  const look = async (): Promise<void> => {
    let told = (): void => {};
    const pass = new Promise<void>((resolve) => (told = resolve));
    const onWarning = (error: Error): never => {
      throw error;
    };
    // Safe: it changes jobs, and nothing else.
    const all = { journal, clock: systemClock, idle: slow as IdleJobs, onPass: () => told(), onWarning };
    const releaser = new Releaser(all);
    releaser.start();
    await pass;
    await releaser.stop();
  };
  await look();
  expect(await journal.jobs(['job-3'])).toMatchObject([{ status: { state: 'waiting' } }]);
  await complete(other);
  await look();
  expect(await journal.jobs(['job-3'])).toMatchObject([{ status: { state: 'available' } }]);
  await journal.close();
});
