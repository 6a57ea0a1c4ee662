/** Why a job of a flow cannot run: one that it waited for has not completed. */
import { MillraceError, show } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import { lastErrorOf, type Job } from '../job/record.js';

/** @param damage Why its job cannot be read, where it is there. */
export function parentFailure(id: string, job: Job | undefined, damage?: MillraceError): MillraceError {
  const last = job && lastErrorOf(job.status);
  const cause = last ? fromErrorData(decodeError(last)) : damage;
  const message = `The job waited for ${job ? `${job.spec.name} ${id}` : show(id)}, which ${fateOf(job, cause)}`;
  return new MillraceError('MILLRACE_PARENT_FAILED', message, cause && { cause });
}

function fateOf(job: Job | undefined, cause: Error | undefined): string {
  if (job?.status.state === 'cancelled') return 'was cancelled';
  if (job) return `failed: ${cause?.message ?? 'the journal holds no error of it'}`;
  return cause ? 'cannot be read' : 'was removed before it had ended';
}
