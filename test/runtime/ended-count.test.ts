/** Ended jobs are counted while others come and go. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasEnded, type Job } from '../../src/job/record.js';
import { EndedCount } from '../../src/runtime/ended-count.js';
import { HeldCount } from '../../src/runtime/held-count.js';
import { jobOf, NOW } from '../fixtures/jobs.js';

/** What happens between two steps of the count, or in the middle of one. */
type Event = { readonly what: 'comes' } | { readonly what: 'goes'; readonly n: number };

const anyEvents = fc.array(
  fc.oneof(
    fc.constant<Event>({ what: 'comes' }),
    fc.record({ what: fc.constant('goes' as const), n: fc.nat(20) }),
  ),
  { maxLength: 4 },
);

test('whoever comes or goes before, while or after a page is read is counted right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(20),
      fc.array(fc.tuple(anyEvents, anyEvents), { maxLength: 12 }),
      async (size, steps) => {
        const count = new EndedCount();
        let number = 0;
        const jobs: Job[] = [];
        const come = (): void => {
          const at = NOW + number++;
          // Of three flows, of which none ends, and of none.
          const flow = number % 4 === 0 ? {} : { flow: `flow-${number % 4}` };
          const { spec } = jobOf(number, { id: `job-${number}`, ...flow });
          const job: Job = { spec, status: { state: 'failed', attempt: 1, finishedAt: at } };
          expect(hasEnded(job.status)).toBe(true);
          jobs.push(job);
          count.came(spec.id, spec.flow);
        };
        const happen = (events: readonly Event[]): void => {
          for (const event of events) {
            if (event.what === 'comes') come();
            else for (const gone of jobs.splice(event.n, 1)) count.left(gone);
          }
        };
        for (let i = 0; i < size; i++) come();
        let step = 0;
        let at = 0;
        await count.count(async () => {
          const [before = [], behind = []] = steps[step++] ?? [];
          happen(before);
          // Three at a time, in the order of their ends.
          const page = jobs.filter(({ status }) => (status.finishedAt ?? 0) >= NOW + at).slice(0, 3);
          const last = page.at(-1)?.status.finishedAt ?? NOW + at - 1;
          at = last - NOW + 1;
          const read = { jobs: page.map(({ spec }) => ({ id: spec.id, flow: spec.flow })), until: last };
          happen(behind);
          return page.length < 3 ? read : { ...read, next: String(at) };
        });
        const free = (): number => jobs.filter(({ spec }) => spec.flow === undefined).length;
        expect(count.known).toBe(jobs.length);
        expect(count.free).toBe(free());
        for (const [before] of steps) happen(before);
        expect(count.known).toBe(jobs.length);
        expect(count.free).toBe(free());
        for (const flow of ['flow-1', 'flow-2', 'flow-3']) count.close(flow);
        expect(count.free).toBe(free());
        count.admit();
        expect(count.free).toBe(jobs.length);
        count.removed(0);
      },
    ),
    { numRuns: 500 },
  );
});

test('of more flows than are told apart all jobs are held until they are counted anew', async () => {
  const count = new EndedCount(new HeldCount(2));
  await count.count(() => Promise.resolve({ jobs: [{ id: 'own' }], until: NOW }));
  for (const n of [1, 2, 3]) count.came(`job-${n}`, `flow-${n}`);
  expect(count).toMatchObject({ known: 4, free: 1, isRough: true });
  expect([1, 2, 3].map((n) => count.close(`flow-${n}`))).toStrictEqual([true, true, false]);
  count.admit();
  expect(count.free).toBe(3);
  const jobs = ['own', 'job-1', 'job-2', 'job-3'].map((id) => ({ id }));
  await count.count(() => Promise.resolve({ jobs, until: NOW }));
  expect(count).toMatchObject({ known: 4, free: 4, isRough: false });
});

test('what is doubted while it is counted is not known afterwards', async () => {
  const count = new EndedCount();
  await count.count(() => {
    count.forget();
    return Promise.resolve({ jobs: [{ id: 'own' }], until: NOW });
  });
  expect(count.free).toBeUndefined();
});
