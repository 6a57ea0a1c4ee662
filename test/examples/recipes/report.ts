/** A report with progress: made in a thread, watched while it is made, and continued where a restart interrupted it. */
import { defineJobs, threadJob, type Millrace } from 'millrace';

export const jobs = defineJobs({
  writeReport: threadJob<typeof import('./workers/write-report.js')>(
    new URL('./workers/write-report.js', import.meta.url),
    { timeout: '1h', backoff: { type: 'fixed', delay: '1m' } },
  ),
});

export async function startReport(mill: Millrace<typeof jobs>, folder: string, months: string[]) {
  return mill.enqueue('writeReport', { folder, months }, { uniqueKey: folder });
}

/** Shows how a report comes on, also one that an earlier process began. @returns where it is. */
export async function followReport(
  mill: Millrace<typeof jobs>,
  id: string,
  show: (progress: unknown) => void,
) {
  const job = mill.handle('writeReport', id);
  show((await job.snapshot()).progress); // so far
  for await (const progress of job.progress()) show(progress); // until it has ended
  const { path } = await job.result();
  return path;
}
