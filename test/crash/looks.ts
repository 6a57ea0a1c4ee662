/** What somebody saw who looked at jobs, in the middle or in the end. */
import type { Case } from './evidence.js';
import type { Recorded, Seen } from './facts.js';

/** It was so at some moment between two, among the facts. */
export interface Look {
  readonly from: number;
  readonly to: number;
  readonly jobs: readonly Seen[];
}

/** All that were told of. */
export function looksTold(facts: readonly Recorded[]): Look[] {
  const begun = new Map<string, number>();
  return facts.flatMap((fact, to) => {
    if (fact.kind === 'looking') begun.set(fact.call, to);
    const from = fact.kind === 'seen' ? begun.get(fact.call) : undefined;
    return fact.kind === 'seen' && from !== undefined ? [{ from, to, jobs: fact.jobs }] : [];
  });
}

/** And the last one, into the journal. */
export const looksIn = ({ facts, contents }: Pick<Case, 'facts' | 'contents'>): Look[] => [
  ...looksTold(facts),
  { from: facts.length, to: facts.length, jobs: [...contents.jobs.values()] },
];
