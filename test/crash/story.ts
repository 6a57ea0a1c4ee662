/** The history that led to a violation, for people. */
import type { Fact, Recorded } from './facts.js';
import type { Violation } from './invariants.js';

/** How many violations are told in full. */
const TOLD = 5;
/** How much is told of each, from its beginning. */
const LINES = 100;
/** How much is told of what the processes did afterwards. */
const LINES_AFTER = 8;

const OF_PROCESSES: ReadonlySet<Fact['kind']> = new Set([
  'spawned',
  'opening',
  'opened',
  'closing',
  'closed',
  'killed',
  'broke',
  'finished',
]);

export function tellStory(violations: readonly Violation[], facts: readonly Recorded[]): string {
  const told = violations.slice(0, TOLD).map((violation) => {
    const title = [`${violation.invariant}:`, violation.id, violation.message].filter(Boolean).join(' ');
    return [title, ...linesAbout(violation.id, facts)].join('\n');
  });
  if (violations.length > TOLD) told.push(`… and ${violations.length - TOLD} more`);
  return told.join('\n\n');
}

/** What happened to the job, and to the processes meanwhile; where it is about none, how it all ended. */
function linesAbout(id: string | undefined, facts: readonly Recorded[]): string[] {
  const isMain = (fact: Recorded): boolean => (id === undefined ? fact.kind === 'warned' : isAbout(fact, id));
  const first = facts.findIndex(isMain);
  const spawn = facts.findLastIndex(({ kind }, i) => kind === 'spawned' && i <= first);
  const last = facts.findLastIndex(isMain);
  const meanwhile = facts.slice(Math.max(0, spawn), last + 1);
  const after = facts.slice(last + 1).filter(({ kind }) => OF_PROCESSES.has(kind));
  const told = meanwhile.filter((fact) => OF_PROCESSES.has(fact.kind) || isMain(fact)).slice(0, LINES);
  const rest = first < 0 ? after.slice(-LINES_AFTER) : after.slice(0, LINES_AFTER);
  const start = facts[0]?.at ?? 0;
  return [...told, ...rest].map((fact) => lineOf(fact, start));
}

/** @param id Of a job, whose schedule, where it has one, is of interest as well; or the name of a schedule. */
const isAbout = (fact: Recorded, id: string): boolean =>
  ('id' in fact && fact.id === id) ||
  ('schedule' in fact && fact.schedule === id.split('@')[0]) ||
  fact.kind === 'clockSet' ||
  (fact.kind === 'asked' && (fact.together?.includes(id) ?? false));

function lineOf({ at, kind, ...fields }: Recorded, start: number): string {
  const shown = Object.entries(fields)
    .filter(([name]) => name !== 'living' && name !== 'together')
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return [`${String(at - start).padStart(8)} ms `, kind, ...shown].join(' ');
}
