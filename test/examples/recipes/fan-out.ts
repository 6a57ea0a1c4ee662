/** Fan out and collect: a job for each chapter, in as many threads as there are, and one that adds up what they came to. */
import { defineJobs, inlineJob, threadJob, type Millrace } from 'millrace';

export const jobs = defineJobs({
  countWords: threadJob<typeof import('./workers/count-words.js')>(
    new URL('./workers/count-words.js', import.meta.url),
  ),
  addUp: inlineJob(async (_: undefined, job) => {
    // The parents of this job are jobs of `countWords`, which return numbers.
    const counts = Object.values(await job.parentResults()) as number[];
    return { words: counts.reduce((sum, count) => sum + count, 0), chapters: counts.length };
  }),
});

export async function countBook(mill: Millrace<typeof jobs>, chapters: string[]) {
  const parts = Object.fromEntries(
    chapters.map((path, index) => [`chapter-${index}`, { name: 'countWords', payload: { path } } as const]),
  );
  // All of them in one write. A chapter that fails fails the sum, unless it says `onParentFailure: 'ignore'`.
  const { sum } = await mill.enqueueFlow({ ...parts, sum: { name: 'addUp', parents: Object.keys(parts) } });
  return sum;
}
