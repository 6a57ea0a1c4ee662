/** The invariant of payloads that have versions. */
import { isDeepStrictEqual } from 'node:util';
import { factsOf, type Case, type Finding } from './evidence.js';

/** A handler gets its payload as it was enqueued, or, where that was for older code, upgraded once, from there. */
export const misupgraded = ({ facts }: Case): Finding[] =>
  factsOf(facts, 'started').flatMap(({ id, versions }) => {
    if (!versions) return [];
    const { code, enqueued, upgrades } = versions;
    if (isDeepStrictEqual(upgrades, enqueued < code ? [[enqueued, code]] : [])) return [];
    const told = upgrades.map(([from, to]) => `from ${from} to ${to}`).join(', ') || 'not at all';
    return [
      { id, message: `is of version ${enqueued}, and was upgraded ${told} for code of version ${code}` },
    ];
  });
