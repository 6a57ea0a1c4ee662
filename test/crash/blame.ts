/** The invariant of blame: a crash is only held against a job beside which no other was at work. */
import type { Evidence, Finding } from './evidence.js';
import { plainId } from './ids.js';

export function blamed({ facts, contents: { jobs } }: Evidence): Finding[] {
  const beside = besideEachKill(facts);
  return [...jobs.values()].flatMap(({ id, crashes = 0 }) => {
    const alone = beside.filter((working) => [...working].every((other) => other === id)).length;
    if (crashes <= alone) return [];
    const message = `is blamed for ${crashes} crashes, and at ${alone} of all at most no other job was at work`;
    return [{ id, message }];
  });
}

/** For each process that was killed, the jobs that were certainly at work then. */
function besideEachKill(facts: Evidence['facts']): ReadonlySet<string>[] {
  const kills: ReadonlySet<string>[] = [];
  let working = new Set<string>();
  for (const fact of facts) {
    if (fact.kind === 'spawned') working = new Set();
    if (fact.kind === 'started') working.add(plainId(fact.id));
    // A handler that was ended by force does not tell; its engine does.
    if (fact.kind === 'left' || fact.kind === 'errored' || fact.kind === 'ended')
      working.delete(plainId(fact.id));
    if (fact.kind === 'killed') kills.push(working);
  }
  return kills;
}
