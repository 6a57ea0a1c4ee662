/** What handlers ask for while the journal cannot be written: follow-ups are kept with the outcome, checkpoints refused. */
import { expect, test } from 'vitest';
import { inlineJob, MillraceError, type JobContext } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { deferred } from '../fixtures/deferred.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { Recorder } from '../fixtures/recorder.js';

const FIRST_RETRY_MS = 100;

async function open(handler: (job: JobContext) => Promise<unknown>) {
  const [disk, clock] = [new MemoryDisk(), new FakeClock()];
  const store = new FragileStore(openMemoryStore(disk));
  const parent = inlineJob((_nothing: undefined, job) => handler(job), { grace: 1 });
  const jobs = { parent, child: inlineJob(() => {}), other: inlineJob(() => {}) };
  const opened = await openJobs(store, jobs, { clock });
  const enqueued = new Recorder<string>();
  opened.announcer.emitter.on('enqueued', ({ id }) => enqueued.push(id));
  const heal = async (): Promise<void> => {
    store.writes = undefined;
    await clock.armed(FIRST_RETRY_MS);
    await clock.advance(FIRST_RETRY_MS);
    await opened.warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  };
  return { ...opened, disk, clock, store, enqueued, heal };
}

for (const fault of ['lost', 'applied'] as const) {
  test.each([
    ['plain', undefined],
    ['named', 'mine'],
  ])(`follow-ups are committed once with an outcome whose write failed (${fault}): %s`, async (_what, id) => {
    const { promise: mayEnd, resolve: end } = deferred();
    const asked = new Recorder<string>();
    const { engine, store, warnings, enqueued, heal } = await open(async (job) => {
      const { id: given } = await job.enqueue('child', undefined, id === undefined ? {} : { id });
      asked.push(given);
      await mayEnd;
    });
    const parent = await engine.enqueue('parent', undefined);
    const [followUp = ''] = await asked.reached(1);
    store.writes = fault;
    end();
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_WRITE_FAILED');
    expect(enqueued.all).toEqual([parent.id]);
    await heal();
    await engine.result(parent.id);
    await engine.result(followUp);
    expect(enqueued.all).toEqual([parent.id, followUp]);
    expect(await engine.counts()).toMatchObject({ completed: 2, available: 0, running: 0 });
  });
}

test('follow-ups can be asked for in an outage', async () => {
  const { promise: mayAsk, resolve: ask } = deferred();
  const { engine, store, heal } = await open(async (job) => {
    await mayAsk;
    await job.enqueue('child', undefined, { id: 'mine' });
    await job.enqueue('child');
  });
  const parent = await engine.enqueue('parent', undefined);
  store.writes = 'lost';
  await expect(engine.enqueue('other', undefined)).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  });
  ask();
  await heal();
  await engine.result(parent.id);
  await engine.drain();
  expect(await engine.counts()).toMatchObject({ completed: 3 });
});

test.each(['lost', 'applied'] as const)(
  'a checkpoint in an outage rejects, and the next one holds (a write that failed: %s)',
  async (fault) => {
    const told = new Recorder<unknown>();
    const [trying, goingOn, ending] = [deferred(), deferred(), deferred()];
    const { engine, disk, store, heal } = await open(async (job) => {
      told.push('begun');
      await trying.promise;
      for (const value of ['first', 'second']) {
        await job.checkpoint(value).catch((thrown: unknown) => {
          told.push(thrown instanceof MillraceError ? thrown.code : thrown);
        });
      }
      await goingOn.promise;
      await job.checkpoint('third');
      told.push('kept');
      await ending.promise;
    });
    const { id } = await engine.enqueue('parent', undefined);
    await told.reached(1);
    store.writes = fault;
    trying.resolve();
    const refused = 'MILLRACE_JOURNAL_WRITE_FAILED';
    expect(await told.reached(3)).toEqual(['begun', refused, refused]);
    await heal();
    goingOn.resolve();
    await told.reached(4);
    // As it is when the process is killed now.
    const resumed = new Recorder<unknown>();
    const parent = inlineJob((_nothing: undefined, job) => resumed.push(job.resumeFrom));
    const next = await openJobs(openMemoryStore(disk.copy()), { parent });
    await next.engine.result(id);
    expect(resumed.all).toEqual(['third']);
    ending.resolve();
  },
);
