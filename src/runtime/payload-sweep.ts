/** Removes the files of payloads that an earlier process has left without a job. */
import { asError, MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';

/**
 * Never rejects.
 * @param isStopped Whether to leave the rest for the next start.
 */
export async function sweepPayloads(
  journal: Journal,
  isStopped: () => boolean,
  onWarning: (error: MillraceError) => void,
): Promise<void> {
  const isReferredTo = async (id: string, name: string): Promise<boolean> => {
    const job = await journal.job(id);
    // A record that is damaged may.
    return job instanceof MillraceError || job?.spec.payloadFile?.name === name;
  };
  try {
    await journal.payloadFiles?.sweep(isReferredTo, isStopped);
  } catch (thrown) {
    // It is done again after the next start.
    if (isStopped()) return;
    const cause = asError(thrown);
    const message = `Payloads without jobs could not be looked for, and are after the next start: ${cause.message}`;
    onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
  }
}
