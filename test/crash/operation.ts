/** What an operation of the workload is, and what it works with. */
import type { Fact, FactOf } from './facts.js';
import type { Random } from './random.js';
import type { Session, Target } from './session.js';

export interface Call<Reported extends Fact = Fact> {
  readonly session: Session;
  readonly random: Random;
  /** A job that there may be. */
  readonly target: Target;
  /** New at each call. */
  readonly token: string;
  readonly report: (fact: Reported) => void;
}

export interface Operation {
  readonly name: string;
  readonly weight: number;
  /** It is done to the call's target. */
  readonly targets?: true;
  /** What it rejects with is reported as refused. */
  run(call: Call): Promise<void>;
}

/** What is refused of a job that has just been acknowledged. */
export const NEW_JOB = 'about a new job';

/**
 * @param reports The kinds of facts that it may report; one that may be refused, and does not tell of what it asks for
 *   itself, is done to a target.
 */
export function operation<Kind extends Fact['kind']>(
  name: string,
  weight: number,
  reports: readonly Kind[],
  run: (call: Call<FactOf<Kind>>) => Promise<void>,
): Operation {
  const isTold = (kind: Fact['kind']): boolean => (reports as readonly Fact['kind'][]).includes(kind);
  return { name, weight, run, ...(isTold('refused') && !isTold('asked') && { targets: true }) };
}
