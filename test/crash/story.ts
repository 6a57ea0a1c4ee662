/** The history that led to a violation, for people. */
import type { Recorded } from './facts.js';
import type { Violation } from './invariants.js';

/** How many violations are told in full. */
const TOLD = 5;
/** How many lines of what led to it each gets. */
const LINES = 80;

export function tellStory(violations: readonly Violation[], facts: readonly Recorded[]): string {
  const told = violations.slice(0, TOLD).map((violation) => {
    const lines = factsAbout(violation, facts).slice(-LINES);
    return [`${violation.invariant}: ${violation.id ?? ''} ${violation.message}`, ...lines].join('\n');
  });
  if (violations.length > TOLD) told.push(`… and ${violations.length - TOLD} more`);
  return told.join('\n\n');
}

/** Those about its job, and what happened to the processes meanwhile. */
function factsAbout({ id }: Violation, facts: readonly Recorded[]): string[] {
  const start = facts[0]?.at ?? 0;
  return facts
    .filter((fact) => isAbout(fact, id))
    .map(({ at, kind, ...rest }) => `  ${String(at - start).padStart(7)} ms  ${kind} ${show(rest)}`);
}

function isAbout(fact: Recorded, id: string | undefined): boolean {
  if ('id' in fact) return fact.id === id;
  if (fact.kind === 'asked') return id !== undefined && (fact.together?.includes(id) ?? false);
  return fact.kind !== 'counted' && (fact.kind !== 'warned' || id === undefined);
}

const show = (fields: object): string =>
  Object.entries(fields)
    .filter(([name]) => name !== 'living' && name !== 'together')
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' ');
