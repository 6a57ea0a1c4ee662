/** Invariants of the windows of unique keys: jobs that are put off by each other, and jobs that are made once in a while. */
import type { Evidence, Finding } from './evidence.js';
import type { Debounced } from './facts.js';

/** What comes about at the same moment may be told in any order. */
const TOLD_APART_MS = 50;

/** A job that was put off starts when its time has come, and not at all once another has taken its place. */
export function debouncedWrong({ facts }: Evidence): Finding[] {
  const latest = new Map<string, Debounced>();
  const replacedAt = new Map<string, number>();
  const notBefore = new Map<string, number>();
  const begun = new Set<string>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    // Whatever was due may have been claimed, and so have let go of its key, without its being told.
    if (fact.kind === 'killed' || fact.kind === 'closing')
      for (const [key, { dueAt }] of latest) if (dueAt <= fact.at) latest.delete(key);
    if (fact.kind === 'asked' && fact.operation === 'promote' && fact.id) notBefore.delete(fact.id);
    if (fact.kind === 'asked' && fact.operation === 'retry' && fact.id) replacedAt.delete(fact.id);
    if (fact.kind === 'debounced') {
      const before = latest.get(fact.key);
      if (before && before.id !== fact.id) replacedAt.set(before.id, fact.at);
      latest.set(fact.key, fact);
      notBefore.set(fact.id, fact.dueAt);
    }
    if (fact.kind !== 'began' || begun.has(fact.id)) continue;
    begun.add(fact.id);
    const { id, at } = fact;
    const earlyMs = (notBefore.get(id) ?? -Infinity) - at;
    if (earlyMs > 0) findings.push({ id, message: `began ${earlyMs} ms before it was to` });
    if (at > (replacedAt.get(id) ?? Infinity) + TOLD_APART_MS)
      findings.push({ id, message: 'began when another had taken its place' });
  }
  return findings;
}

/** Of the jobs with a key that are made once in a while, none is made sooner. A key ends with how long that is. */
export function throttledWrong({ contents: { jobs } }: Evidence): Finding[] {
  const last = new Map<string, number>();
  const throttled = [...jobs.values()].flatMap(({ id, name, uniqueKey = '', enqueuedAt = 0 }) => {
    const ms = /^throttle.* (\d+)$/.exec(uniqueKey)?.[1];
    return ms === undefined ? [] : [{ id, key: `${name} ${uniqueKey}`, ms: Number(ms), enqueuedAt }];
  });
  return throttled
    .sort((one, other) => one.enqueuedAt - other.enqueuedAt)
    .flatMap(({ id, key, ms, enqueuedAt }) => {
      const apartMs = enqueuedAt - (last.get(key) ?? -Infinity);
      last.set(key, enqueuedAt);
      return apartMs < ms ? [{ id, message: `was made ${apartMs} ms after another of ${key}` }] : [];
    });
}
