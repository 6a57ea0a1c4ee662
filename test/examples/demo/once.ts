/**
 * Has work done once, however often the command is run. A job's id is made of its work, and `enqueue()` with an
 * id that the journal knows gives the job that is there: waiting, running, or done by an earlier process.
 *
 * Two things are done again, under a fresh id (`…~2`, `…~3`), as a job that has ended is never run again: work
 * whose result has since been deleted, and work that failed for a reason that may have passed (a full disk).
 */
import { access } from 'node:fs/promises';
import type { JobSnapshot } from 'millrace';

/** What is asked of an engine here. */
export interface Journaled {
  job(id: string): Promise<JobSnapshot | undefined>;
}

export interface Once<Handle> {
  readonly handle: Handle;
  /** Whether it had ended before this process asked for it. */
  readonly wasDone: boolean;
}

/**
 * @param path The file that the job makes.
 * @param enqueue Enqueues the job under the id that it is given.
 */
export async function once<Handle>(
  mill: Journaled,
  id: string,
  path: string,
  enqueue: (id: string) => Promise<Handle>,
): Promise<Once<Handle>> {
  let current = id;
  let job = await mill.job(id);
  for (let turn = 2; job; turn += 1) {
    const next = `${id}~${turn}`;
    const later = await mill.job(next);
    if (!later && !(await isToBeDoneAgain(job, path))) break;
    current = next;
    job = later;
  }
  const wasDone = job?.state === 'completed' || job?.state === 'failed';
  return { handle: await enqueue(current), wasDone };
}

async function isToBeDoneAgain({ state, error }: JobSnapshot, path: string): Promise<boolean> {
  if (state === 'completed') return !(await exists(path));
  return state === 'failed' && error?.code !== 'MILLRACE_UNRECOVERABLE';
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
