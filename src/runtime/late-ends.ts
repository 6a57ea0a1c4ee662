/**
 * After an outage of the journal: jobs that somebody awaits and that no attempt will end any more. The end of one, a
 * cancel that was refused, may have reached the disk all the same; another may be gone, where its durability allows it.
 */
import { MillraceError } from '../errors.js';
import { hasEnded } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { jobNotFound } from './handle.js';
import type { Results } from './results.js';

/** How many jobs are read at once. */
const PAGE = 200;

/** @param isLive Whether the job has an attempt, which will tell of its end. */
export async function tellLateEnds(
  journal: Journal,
  results: Results,
  isLive: (id: string) => boolean,
): Promise<void> {
  // Whoever asks from here on has the journal read.
  results.recent.forget();
  const awaited = results.awaited().filter((id) => !isLive(id));
  for (let from = 0; from < awaited.length; from += PAGE) {
    const ids = awaited.slice(from, from + PAGE);
    const reads = await journal.jobs(ids);
    for (const [i, id] of ids.entries()) {
      const job = reads[i];
      if (job === undefined) results.gone(id, jobNotFound(id));
      else if (!(job instanceof MillraceError) && hasEnded(job.status)) results.ended(job);
    }
  }
}
