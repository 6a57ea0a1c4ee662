/** A walk over a view: every job once, those that wait in the order of claiming, whatever the indexes say. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import type { Job, JobSpec } from '../../src/job/record.js';
import { cancelled, settled } from '../../src/job/transitions.js';
import type { Journal } from '../../src/journal/journal.js';
import { readyKey, specKey, statusKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import { walk, type Walked } from '../../src/journal/walk.js';
import { collect } from '../fixtures/collect.js';
import type { DiskFactory } from '../fixtures/disks.js';
import { NOW, specOf } from '../fixtures/jobs.js';
import { claim, enqueue, move, openOn, tamper } from './harness.js';

async function walked(journal: Journal): Promise<Walked[]> {
  const view = journal.view();
  const all = await collect(walk(view, NOW + 1));
  await view.close();
  return all;
}

const ids = (all: readonly Walked[]): string[] => all.map(({ id }) => id);
const stateOf = ({ read }: Walked): string => (read instanceof MillraceError ? read.code : read.status.state);

const RETRY = { delayMs: 5 };
const ERRORED = { kind: 'errored', error: Uint8Array.of(0xc0), unrecoverable: false } as const;

/** A job's step on its way: what becomes of it, besides waiting. */
type Fate = 'available' | 'later' | 'running' | 'retryable' | 'completed' | 'cancelled' | 'cancelling';
const FATES: readonly Fate[] = [
  ...(['available', 'available', 'later', 'running', 'retryable'] as const),
  ...(['completed', 'cancelled', 'cancelling'] as const),
];

async function meet(journal: Journal, job: Job, fate: Fate): Promise<void> {
  if (fate === 'available' || fate === 'later') return;
  if (fate === 'cancelled') return void (await move(journal, job, cancelled(job.status, NOW)));
  const running = await claim(journal, job);
  if (fate === 'cancelling') await move(journal, running, cancelled(running.status, NOW));
  if (fate === 'completed')
    await move(journal, running, {
      ...running.status,
      state: 'completed',
      finishedAt: NOW,
      result: Uint8Array.of(0xc0),
    });
  if (fate === 'retryable') await move(journal, running, settled(running.status, ERRORED, RETRY, NOW));
}

const anyJob = fc.record({
  queue: fc.constantFrom('a', 'b'),
  name: fc.constantFrom('resize', 'mail', 'page'),
  priority: fc.integer({ min: -2, max: 2 }),
  fate: fc.constantFrom(...FATES),
});

export function walkSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: a walk meets every job once, in the order of claiming, then of being due`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyJob, { maxLength: 40 }), async (drawn) => {
        const { journal } = await openOn(await createDisk());
        const specs = drawn.map(({ fate, ...fields }, i): JobSpec => {
          const id = `job-${(i * 7) % 41}`;
          return specOf(i + 1, { ...fields, id, ...(fate === 'later' && { runAt: NOW + 100 - i }) });
        });
        const jobs = await enqueue(journal, ...specs);
        for (const [i, job] of jobs.entries()) await meet(journal, job, drawn[i]?.fate ?? 'available');
        const all = await walked(journal);
        await journal.close();

        expect(ids(all).toSorted()).toEqual(specs.map(({ id }) => id).toSorted());
        const place = new Map(ids(all).map((id, i) => [id, i]));
        const placeOf = (spec: JobSpec): number => place.get(spec.id) ?? -1;
        const waits = (fate: Fate | undefined): boolean => fate === 'available' || fate === 'running';
        const ready = specs.filter((_, i) => waits(drawn[i]?.fate));
        for (const queue of ['a', 'b']) {
          const inQueue = ready.filter((spec) => spec.queue === queue);
          const expected = inQueue.toSorted((a, b) => b.priority - a.priority || a.sequence - b.sequence);
          expect(inQueue.toSorted((a, b) => placeOf(a) - placeOf(b))).toEqual(expected);
        }
        const dueAt = all.flatMap(({ read }) =>
          read instanceof MillraceError ? [] : (read.status.runAt ?? []),
        );
        expect(dueAt).toEqual(dueAt.toSorted((a, b) => a - b));
        const states = new Map(all.map((one) => [one.id, stateOf(one)]));
        for (const [i, { id }] of specs.entries()) {
          const fate = drawn[i]?.fate ?? 'available';
          const state = { running: 'available', later: 'scheduled', cancelling: 'cancelled' } as const;
          expect(states.get(id)).toBe(fate in state ? state[fate as keyof typeof state] : fate);
        }
      }),
      { numRuns: name === 'memory' ? 60 : 8 },
    );
  });

  test(`${name}: a walk finds jobs whose places are damaged, lost or doubled, and tells which cannot be read`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const [, , third, fourth] = await enqueue(
      journal,
      ...[1, 2, 3, 4, 5, 6].map((sequence) => specOf(sequence)),
    );
    if (!third || !fourth) throw new Error('there are six');
    // The old place of a job that runs, and of one that has ended, as a power cut can bring them back.
    await claim(journal, third);
    await move(journal, fourth, cancelled(fourth.status, NOW));
    await journal.commit(
      new Transaction().enqueue(third.spec, third.status).enqueue(fourth.spec, fourth.status),
    );
    await journal.commit(new Transaction().forget(readyKey(specOf(5))));
    await journal.close();
    const damaged = new Set([readyKey(specOf(1)), specKey('job-2'), statusKey('job-6')]);
    await tamper(disk, (key, value) => (damaged.has(key) ? value.with(0, (value[0] ?? 0) ^ 1) : undefined));
    const next = await openOn(disk);
    const all = await walked(next.journal);
    expect(ids(all).toSorted()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `job-${n}`));
    expect(Object.fromEntries(all.map((one) => [one.id, stateOf(one)]))).toEqual({
      'job-1': 'available',
      'job-2': 'MILLRACE_JOURNAL_CORRUPT',
      'job-3': 'available',
      'job-4': 'cancelled',
      'job-5': 'available',
      'job-6': 'available',
    });
  });

  test(`${name}: a walk meets jobs with concurrency keys once, and those of each key in their order`, async () => {
    const { journal } = await openOn(await createDisk());
    const keys = Array.from({ length: 60 }, (_, i) => `tenant ${i % 20}`);
    const specs = keys.map((concurrencyKey, i) => specOf(i + 1, { concurrencyKey, priority: i % 2 }));
    const jobs = await enqueue(journal, ...specs, specOf(61), specOf(62, { name: 'mail' }));
    // One runs, and another that runs has its old place as well.
    const [first, second] = jobs;
    if (!first || !second) throw new Error('there are some');
    await claim(journal, first);
    await claim(journal, second);
    await journal.commit(new Transaction().enqueue(second.spec, second.status));
    const all = await walked(journal);
    expect(ids(all).toSorted()).toEqual(jobs.map(({ spec }) => spec.id).toSorted());
    const place = new Map(ids(all).map((id, i) => [id, i]));
    for (const key of new Set(keys)) {
      const own = specs.filter(({ concurrencyKey }) => concurrencyKey === key);
      const waiting = own.filter(({ id }) => id !== first.spec.id && id !== second.spec.id);
      const expected = waiting.toSorted((a, b) => b.priority - a.priority || a.sequence - b.sequence);
      expect(waiting.toSorted((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0))).toEqual(expected);
    }
  });

  test(`${name}: a walk tells of a place whose job is missing`, async () => {
    const { journal } = await openOn(await createDisk());
    await enqueue(journal, specOf(1), specOf(2));
    await journal.commit(new Transaction().forget(specKey('job-1')));
    expect((await walked(journal)).map((one) => [one.id, stateOf(one)])).toEqual([
      ['job-1', 'MILLRACE_JOURNAL_CORRUPT'],
      ['job-2', 'available'],
    ]);
  });
}
