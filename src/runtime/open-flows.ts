/** Which flows have jobs that have not ended: the results of the others are kept for them. */
import { MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';

/** Those that jobs are of. */
export async function openFlows(journal: Journal, reads: Iterable<JobRead>): Promise<ReadonlySet<string>> {
  const flows = new Set<string>();
  for (const read of reads)
    if (read && !(read instanceof MillraceError) && read.spec.flow !== undefined) flows.add(read.spec.flow);
  for (const flow of flows) if (!(await journal.indexes.isFlowOpen(flow))) flows.delete(flow);
  return flows;
}

/** Whether others may still ask for the job's result. @param open The flows with jobs that have not ended. */
export const isAwaited = ({ spec, status }: Job, open: ReadonlySet<string>): boolean =>
  status.state === 'completed' && spec.isParent === true && open.has(spec.flow ?? '');
