/** Invariants of jobs that handlers enqueue: they come with the completion of the handler's own job, and with nothing else. */
import type { Case, Finding } from './evidence.js';

/** What a handler was told that it has enqueued. */
interface Asked {
  readonly parent: string;
  readonly followUp: string;
  readonly isNamed: boolean;
  /** What the handler's job has come to, where that is known. */
  readonly end: string | undefined;
  /** Its handler was the last one of its job. */
  isOfLast: boolean;
}

/** Once a job has completed, all that its last handler enqueued are there. */
export function followUpsLost(found: Case): Finding[] {
  const { jobs } = found.contents;
  return askedIn(found)
    .filter(({ end, isOfLast }) => isOfLast && end === 'completed')
    .filter(({ followUp }) => !jobs.has(followUp) && found.lives.gone(followUp, found.endAt) === 'alive')
    .map(({ parent, followUp }) => ({
      id: parent,
      message: `completed, and ${followUp}, which it enqueued, is not in the journal`,
    }));
}

/** A handler that runs again leaves nothing of what the one before enqueued. */
export const followUpsDoubled = (found: Case): Finding[] =>
  ownThatAreThere(found)
    .filter(({ end, isOfLast }) => !isOfLast && end === 'completed')
    .map(({ parent, followUp }) => ({
      id: parent,
      message: `ran again, and ${followUp}, which it had enqueued before, is there`,
    }));

/** A job that comes to anything else than its completion leaves none. */
export const followUpsLeaked = (found: Case): Finding[] =>
  ownThatAreThere(found)
    .filter(({ end }) => end !== undefined && end !== 'completed')
    .map(({ parent, followUp, end }) => ({
      id: parent,
      message: `is ${end}, and ${followUp}, which it enqueued, is there`,
    }));

/** Of others than the handler that chose their ids they may be. */
function ownThatAreThere(found: Case): Asked[] {
  const started = new Set(found.facts.flatMap((fact) => (fact.kind === 'started' ? fact.id : [])));
  const isThere = (id: string): boolean => found.contents.jobs.has(id) || started.has(id);
  return askedIn(found).filter(({ followUp, isNamed }) => !isNamed && isThere(followUp));
}

function askedIn({ facts, contents: { jobs } }: Case): Asked[] {
  const ends = new Map<string, string>();
  for (const fact of facts) if (fact.kind === 'ended') ends.set(fact.id, fact.state);
  const all: Asked[] = [];
  const ofLast = new Map<string, Asked[]>();
  for (const fact of facts) {
    if (fact.kind === 'started') {
      for (const asked of ofLast.get(fact.id) ?? []) asked.isOfLast = false;
      ofLast.delete(fact.id);
    }
    if (fact.kind !== 'followedUp') continue;
    const { id: parent, followUp, isNamed = false } = fact;
    const asked = {
      parent,
      followUp,
      isNamed,
      isOfLast: true,
      end: jobs.get(parent)?.state ?? ends.get(parent),
    };
    all.push(asked);
    ofLast.set(parent, [...(ofLast.get(parent) ?? []), asked]);
  }
  return all;
}
