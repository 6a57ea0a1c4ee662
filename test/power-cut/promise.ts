/** What a power cut may take, jobs that were not to be synced and what is known of them, and what it gives reason to. */
import { factsOf } from '../crash/evidence.js';
import type { Fact, Recorded } from '../crash/facts.js';

/** What tells of a job, so that it must still be so. */
const OF_JOBS: ReadonlySet<Fact['kind']> = new Set([
  'enqueued',
  'debounced',
  'ended',
  'progressed',
  'started',
  'left',
  'errored',
  'refused',
  'checkpointed',
  'retried',
  'promoted',
  'removed',
]);

/**
 * The facts that hold after a power cut.
 * @param known What happened until then.
 * @param whole And after it, in the world in which it was not: there it may be told what a job was to survive.
 */
export function withoutTaken(known: readonly Recorded[], whole: readonly Recorded[]): Recorded[] {
  const synced = new Set(
    factsOf(whole, 'enqueued').flatMap(({ id, durability }) => (durability === 'fsync' ? [id] : [])),
  );
  const started = new Set(factsOf(known, 'started').map(({ id }) => id));
  const isTaken = (fact: Recorded): boolean =>
    // A schedule that was answered for without a sync may be as it was before, as if it had not been.
    (fact.kind === 'answered' && fact.durability !== 'fsync') ||
    // What a job has enqueued came with its completion. If that has run, it can also have been removed since, unheard.
    (fact.kind === 'followedUp' &&
      !(synced.has(fact.id) && (synced.has(fact.followUp) || !started.has(fact.followUp)))) ||
    (OF_JOBS.has(fact.kind) && 'id' in fact && !synced.has(fact.id ?? ''));
  return known.filter((fact) => !isTaken(fact)).map((fact) => amongSynced(fact, synced));
}

/** Of jobs that came together, one that may be taken tells nothing: it can also have been removed since, unheard. */
function amongSynced(fact: Recorded, synced: ReadonlySet<string>): Recorded {
  if (fact.kind !== 'asked' || !fact.together) return fact;
  return { ...fact, together: fact.together.filter((id) => synced.has(id)) };
}

/** What the engine tells operators for good reason: the end of a log was torn, and has been cut off. */
const EXPECTED_WARNINGS: ReadonlySet<string> = new Set(['MILLRACE_JOURNAL_TORN']);

/** What happened after a power cut, but for what it gives reason to. @param facts Of the audit. */
export const withoutExpected = (facts: readonly Recorded[]): Recorded[] =>
  facts.filter((fact) => fact.kind !== 'warned' || !EXPECTED_WARNINGS.has(fact.code));
