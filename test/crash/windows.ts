/** Invariants of the windows of unique keys: jobs that are put off by each other, and jobs that are made once in a while. */
import type { Evidence, Finding } from './evidence.js';
import type { Debounced } from './facts.js';

/** What comes about at the same moment may be told in any order, and one of the two much later on a slow machine. */
const TOLD_APART_MS = 1_000;

/** What has a job start before it would be due. */
const MAKES_DUE: ReadonlySet<string> = new Set(['promote', 'retry']);

/** A job that was put off starts when its time has come, and not at all once another has taken its place. */
export function debouncedWrong({ facts }: Evidence): Finding[] {
  const latest = new Map<string, Debounced>();
  const replacedAt = new Map<string, number>();
  const notBefore = new Map<string, number>();
  const hastened = new Set<string>();
  const begun = new Set<string>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    // Whatever was due may have been claimed, and so have let go of its key, without its being told.
    if (fact.kind === 'killed' || fact.kind === 'closing')
      for (const [key, { dueAt }] of latest) if (dueAt <= fact.at) latest.delete(key);
    if (fact.kind === 'asked' && fact.id && MAKES_DUE.has(fact.operation)) {
      hastened.add(fact.id);
      // It may have been replaced as it was, and is there again.
      if (fact.operation === 'retry') replacedAt.delete(fact.id);
    }
    if (fact.kind === 'debounced') {
      const before = latest.get(fact.key);
      // One that was not due cannot have been claimed: it does not begin any more at all.
      if (before && before.id !== fact.id) {
        const isSure = fact.at < before.dueAt && !hastened.has(before.id);
        replacedAt.set(before.id, isSure ? fact.at : fact.at + TOLD_APART_MS);
      }
      latest.set(fact.key, fact);
      notBefore.set(fact.id, fact.dueAt);
    }
    if (fact.kind !== 'began' || begun.has(fact.id)) continue;
    begun.add(fact.id);
    const { id, at } = fact;
    // Whoever asks that it need not wait may have been heard after it was put off.
    const earlyMs = hastened.has(id) ? 0 : (notBefore.get(id) ?? -Infinity) - at;
    if (earlyMs > 0) findings.push({ id, message: `began ${earlyMs} ms before it was to` });
    if (at > (replacedAt.get(id) ?? Infinity))
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
