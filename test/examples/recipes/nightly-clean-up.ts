/** A nightly clean-up: a schedule removes what is older than a month, and makes up for a night in which the app was down. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { defineJobs, inlineJob, Millrace } from 'millrace';

const DAY_MS = 86_400_000;

export const jobs = defineJobs({
  cleanUp: inlineJob(async ({ folder, keepDays }: { folder: string; keepDays: number }, job) => {
    const oldest = (job.scheduledFor ?? Date.now()) - keepDays * DAY_MS;
    let removed = 0;
    for (const name of await readdir(folder)) {
      job.throwIfAborted();
      const path = join(folder, name);
      if ((await stat(path)).mtimeMs >= oldest) continue;
      await rm(path, { recursive: true });
      removed++;
    }
    job.log.info('cleaned up', { removed });
    return { removed };
  }),
});

export async function open(directory: string, uploads: string) {
  return Millrace.open({
    directory,
    jobs,
    schedules: {
      'nightly-clean-up': {
        pattern: '30 3 * * *', // 03:30
        timezone: 'Europe/Berlin',
        job: 'cleanUp',
        payload: { folder: uploads, keepDays: 30 },
        overlap: 'skip', // while that of the night before is not through
      },
    },
  });
}
