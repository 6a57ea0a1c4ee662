/** The invariant of checkpoints. */
import type { Evidence, Finding } from './evidence.js';
import type { Mark } from './facts.js';
import { plainId } from './ids.js';

/** A handler gets the last checkpoint of its job that an earlier one was told to be kept, or a later one. */
export function checkpointLost({ facts }: Evidence): Finding[] {
  const kept = new Map<string, Mark>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind === 'checkpointed') {
      const before = kept.get(fact.id);
      if (!before || before.step < fact.mark.step) kept.set(fact.id, fact.mark);
    }
    if (fact.kind !== 'started') continue;
    const { id, resumeFrom } = fact;
    const step = kept.get(id)?.step ?? 0;
    if (resumeFrom && resumeFrom.id !== plainId(id))
      findings.push({ id, message: `was to resume from a checkpoint of ${resumeFrom.id}` });
    else if ((resumeFrom?.step ?? 0) < step)
      findings.push({ id, message: `was to resume from ${resumeFrom?.step}, and had come to ${step}` });
  }
  return findings;
}
