/**
 * Invariants of unique keys. A key begins with what its job says of it: `queued`, `active`, `debounce`, or anything else, for keys
 * that are held longer.
 */
import type { Evidence, Finding } from './evidence.js';
import type { Started } from './facts.js';

/** Once all jobs have ended, no key says that a job holds it that waits or runs. */
export const uniqueKeysLeaked = ({ contents: { keyEntries } }: Evidence): Finding[] =>
  keyEntries
    .filter((key) => /^u![^!]*!(queued|active|debounce)/.test(key))
    .map((key) => ({ message: `the unique key ${key} is held by nobody, and its entry is left` }));

/** No two jobs run at a time whose key is held until they have ended. */
export function uniqueKeysDoubled({ facts, contents }: Evidence): Finding[] {
  const running = new Map<string, Started[]>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind !== 'started' && fact.kind !== 'left') continue;
    const { id } = fact;
    const job = contents.jobs.get(id);
    if (!job?.uniqueKey?.startsWith('active')) continue;
    const key = `${job.name} ${job.uniqueKey}`;
    const others = (running.get(key) ?? []).filter((run) => run.id !== id);
    if (fact.kind === 'left') {
      running.set(key, others);
      continue;
    }
    const { pid, living } = fact;
    const live = others.filter((run) => run.pid === pid && living.includes(run.thread));
    for (const other of live) findings.push({ id, message: `${key} was held by ${other.id}, which ran` });
    running.set(key, [...live, fact]);
  }
  return findings;
}
