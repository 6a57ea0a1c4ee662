/** What an invariant judges, and what it finds. */
import type { Contents } from './contents.js';
import type { Fact, FactOf, Recorded } from './facts.js';
import type { Lives } from './lives.js';
import type { Rates } from './rates.js';

/** What is known of the job types and queues that were at work. */
export interface Terms {
  /** How many handlers may run at once, where that is limited: of a type, and of a queue. */
  readonly limits: Readonly<Record<'name' | 'queue', ReadonlyMap<string, number>>>;
  /** And of a type with the same concurrency key. */
  readonly limitsPerKey: ReadonlyMap<string, number>;
  /** How many jobs may wait in a queue for others to come in; absent where none has a bound. */
  readonly bounds?: ReadonlyMap<string, number>;
  /** How many attempts may begin in a time; absent where that is not limited. */
  readonly rates?: Rates;
  /** How many jobs may wait or run in a queue, where that is limited. */
  readonly sizes?: ReadonlyMap<string, number>;
  /** Job types whose attempts may end while their handler goes on: what died with its process may have counted. */
  readonly endedByForce: ReadonlySet<string>;
  /** How long jobs are kept at least once they have ended; by default as engines do that keep them for a short time. */
  readonly keptMs?: number;
  /** How often a job can be snoozed without an attempt counted. */
  readonly maxSnoozes: number;
  /** Codes of warnings and refusals that there was a reason for. */
  readonly tolerated: ReadonlySet<string>;
}

export interface Evidence {
  readonly terms: Terms;
  /** Everything that happened, in its order. */
  readonly facts: readonly Recorded[];
  /** What the journal holds after the audit. */
  readonly contents: Contents;
}

/** Evidence as an invariant gets it: each life of an id that was used again has an id of its own. */
export interface Case extends Evidence {
  readonly lives: Lives;
  /** When all was over. */
  readonly endAt: number;
}

/** Something that must not be. */
export interface Finding {
  /** The job that it is about. */
  readonly id?: string;
  readonly message: string;
}

/** What never happens, whatever is killed when. */
export interface Invariant {
  /** What it is called among the violations. */
  readonly name: string;
  readonly check: (evidence: Case) => Finding[];
}

/** The facts of one kind, in their order. */
export const factsOf = <Kind extends Fact['kind']>(facts: readonly Fact[], kind: Kind): FactOf<Kind>[] =>
  facts.filter((fact): fact is FactOf<Kind> => fact.kind === kind);
