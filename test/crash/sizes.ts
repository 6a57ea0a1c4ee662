/** The invariant of queues with a bound. */
import { factsOf, type Evidence, type Finding } from './evidence.js';

/** A queue has no more jobs than may wait and run in it, and none that was turned away. */
export function overfull({ facts, contents: { jobs }, terms: { sizes } }: Evidence): Finding[] {
  // What a power cut takes back of ends puts jobs back into their queues.
  const cut = facts.findIndex((fact) => fact.kind === 'killed' && fact.moment.startsWith('power cut'));
  const sized = factsOf(cut < 0 ? facts : facts.slice(0, cut), 'sized').flatMap(({ queue, size }) => {
    const most = sizes?.get(queue) ?? Infinity;
    return size > most
      ? [{ message: `queue ${queue} had ${size} jobs, and ${most} may wait or run in it` }]
      : [];
  });
  const turnedAway = new Set(factsOf(facts, 'noRoom').map(({ token }) => token));
  const kept = [...jobs.values()].filter(({ token }) => turnedAway.has(token));
  return [...sized, ...kept.map(({ id }) => ({ id, message: 'is in the journal, and was turned away' }))];
}
