/** Jobs that wait for what the code does not name: they stay in the journal, and are told of at each start. */
import { asError, MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';

/** One for each queue with waiting jobs that is not among the known ones. */
export function strayQueues(journal: Journal, known: { has(queue: string): boolean }): MillraceError[] {
  const unknown = journal.queues().filter((queue) => !known.has(queue));
  return unknown.flatMap((queue) => {
    const { available, scheduled, retryable } = journal.counts(queue);
    const waiting = available + scheduled + retryable;
    const message = `${waiting} jobs wait in queue ${queue}, and \`queues\` does not name it; they stay until it does`;
    return waiting > 0 ? [new MillraceError('MILLRACE_QUEUE_UNKNOWN', message)] : [];
  });
}

/** One for each job type with available jobs in a known queue that is not among the known ones. Never rejects. */
export async function strayTypes(
  journal: Journal,
  queues: Iterable<string>,
  known: { has(name: string): boolean },
): Promise<MillraceError[]> {
  const strays: MillraceError[] = [];
  try {
    for (const queue of queues) {
      for (const name of await journal.indexes.readyTypes(queue)) {
        if (known.has(name)) continue;
        const message = `Jobs named ${name} wait in queue ${queue}, and no such job type is defined; they stay until one is`;
        strays.push(new MillraceError('MILLRACE_JOB_UNKNOWN', message));
      }
    }
  } catch (thrown) {
    const cause = asError(thrown);
    const message = `The names of the waiting jobs could not be read: ${cause.message}`;
    strays.push(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
  }
  return strays;
}
