/** What a power cut may take: jobs that were not to be synced, and what is known of them. */
import { factsOf } from '../crash/evidence.js';
import type { Fact, Recorded } from '../crash/facts.js';

/** What tells of a job, so that it must still be so. */
const OF_JOBS: ReadonlySet<Fact['kind']> = new Set(['enqueued', 'ended', 'started', 'left']);

/**
 * The facts that hold after a power cut.
 * @param known What happened until then.
 * @param whole And after it, in the world in which it was not: there it may be told what a job was to survive.
 */
export function withoutTaken(known: readonly Recorded[], whole: readonly Recorded[]): Recorded[] {
  const synced = new Set(
    factsOf(whole, 'enqueued').flatMap(({ id, durability }) => (durability === 'fsync' ? [id] : [])),
  );
  const isTaken = (fact: Recorded): boolean =>
    OF_JOBS.has(fact.kind) && 'id' in fact && !synced.has(fact.id ?? '');
  return known.filter((fact) => !isTaken(fact));
}
