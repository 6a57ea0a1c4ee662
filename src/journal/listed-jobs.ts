/** The jobs that rosters name, a few at a time, for each may be large. What a roster says of one is not held against it. */
import type { JobRead, Journal } from './journal.js';
import type { EndedRoster } from './ended-jobs.js';

export interface Listed {
  /** The roster's. */
  readonly key: string;
  readonly id: string;
  readonly read: JobRead;
}

/** How many are read at once. */
const READS = 32;

export async function* listedJobs(
  journal: Pick<Journal, 'jobs'>,
  rosters: readonly EndedRoster[],
): AsyncGenerator<Listed> {
  const listed = rosters.flatMap(({ key, ids }) => ids.map((id) => ({ key, id })));
  for (let from = 0; from < listed.length; from += READS) {
    const some = listed.slice(from, from + READS);
    const reads = await journal.jobs(some.map(({ id }) => id));
    for (const [i, { key, id }] of some.entries()) yield { key, id, read: reads[i] };
  }
}
