/** Ended jobs are counted while others come and go. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasEnded, type Job } from '../../src/job/record.js';
import { EndedCount } from '../../src/runtime/ended-count.js';
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
          const { spec } = jobOf(number, { id: `job-${number}` });
          const job: Job = { spec, status: { state: 'failed', attempt: 1, finishedAt: at } };
          expect(hasEnded(job.status)).toBe(true);
          jobs.push(job);
          count.came(job.spec.id);
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
          const read = { ids: page.map(({ spec }) => spec.id), until: last };
          happen(behind);
          return page.length < 3 ? read : { ...read, next: String(at) };
        });
        expect(count.known).toBe(jobs.length);
        for (const [before] of steps) happen(before);
        expect(count.known).toBe(jobs.length);
        count.removed(0);
      },
    ),
    { numRuns: 500 },
  );
});
