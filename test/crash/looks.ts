/** What somebody saw who looked at jobs, in the middle or in the end. */
import type { Case } from './evidence.js';
import type { Seen } from './facts.js';

/** It was so at some moment between two, among the facts. */
export interface Look {
  readonly from: number;
  readonly to: number;
  readonly jobs: readonly Seen[];
}

/** All that were told of, and the last one, into the journal. Ids that are used again are left out: whose they are, nobody tells. */
export function looksIn({ facts, contents }: Pick<Case, 'facts' | 'contents'>): Look[] {
  const begun = new Map<string, number>();
  const looks: Look[] = [];
  for (const [i, fact] of facts.entries()) {
    if (fact.kind === 'looking') begun.set(fact.call, i);
    const from = fact.kind === 'seen' ? begun.get(fact.call) : undefined;
    if (fact.kind === 'seen' && from !== undefined) looks.push({ from, to: i, jobs: fact.jobs });
  }
  return [...looks, { from: facts.length, to: facts.length, jobs: [...contents.jobs.values()] }];
}
