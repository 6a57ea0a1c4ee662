/** Which flows have jobs that have not ended: the results of the others are kept for them. */
import { MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';

/** Those that jobs are of. */
export function openFlows(journal: Journal, reads: Iterable<JobRead>): Promise<ReadonlySet<string>> {
  const flows = Array.from(reads, (read) => (read instanceof MillraceError ? undefined : read?.spec.flow));
  return stillOpen(journal, flows);
}

/** @param flows Of jobs, each of which may be of none. */
export async function stillOpen(
  journal: Journal,
  flows: readonly (string | undefined)[],
): Promise<ReadonlySet<string>> {
  const open = new Set<string>();
  for (const flow of new Set(flows))
    if (flow !== undefined && (await journal.indexes.isFlowOpen(flow))) open.add(flow);
  return open;
}

/** Whether others may still ask for the job's result. @param open The flows with jobs that have not ended. */
export const isAwaited = ({ spec, status }: Job, open: ReadonlySet<string>): boolean =>
  status.state === 'completed' && spec.isParent === true && open.has(spec.flow ?? '');
