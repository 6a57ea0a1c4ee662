/**
 * After an outage of the journal: a job that nobody runs can have ended in a write that seemed to fail, or be gone with
 * what the disk lost. Whoever waits for it is told here, for no other news of it will come.
 */
import { MillraceError } from '../errors.js';
import { hasEnded } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { jobNotFound } from './handle.js';
import type { Results } from './results.js';

/** How many jobs are read at once. */
const PAGE = 200;

/** @param isLive Whether the job goes on in this process: then its end is still to come. */
export async function tellMissedEnds(
  journal: Journal,
  results: Results,
  isLive: (id: string) => boolean,
): Promise<void> {
  results.recent.forget();
  const ids = results.awaited().filter((id) => !isLive(id));
  for (let from = 0; from < ids.length; from += PAGE) {
    const some = ids.slice(from, from + PAGE);
    const reads = await journal.jobs(some);
    for (const [i, id] of some.entries()) {
      const read = reads[i];
      if (read === undefined) results.gone(id, jobNotFound(id));
      // A job that cannot be read fails when it is to be claimed.
      else if (!(read instanceof MillraceError) && hasEnded(read.status)) results.ended(read);
    }
  }
}
