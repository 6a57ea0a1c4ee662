/** Jobs that wait for what the code does not name: they stay in the journal, and are told of at each start. */
import { asError, MillraceError } from '../errors.js';
import type { JobSpec } from '../job/record.js';
import type { IndexPage } from '../journal/pages.js';
import type { Journal } from '../journal/journal.js';

/** What the code names. */
export interface Known {
  readonly queues: { has(queue: string): boolean; keys(): Iterable<string> };
  readonly types: { has(name: string): boolean };
}

/** How many jobs that are not available yet are looked at, per index: those that come next. The others are noticed then. */
const LOOK = 1_000;
const PAGE = 100;

/** One for each queue with waiting jobs that is not among the known ones. */
export function strayQueues(journal: Journal, known: Pick<Known['queues'], 'has'>): MillraceError[] {
  const unknown = journal.queues().filter((queue) => !known.has(queue));
  return unknown.flatMap((queue) => {
    const { available, scheduled, retryable, waiting } = journal.counts(queue);
    const count = available + scheduled + retryable + waiting;
    const jobs = count === 1 ? '1 job waits' : `${count} jobs wait`;
    const message = `${jobs} in queue ${queue}, and \`queues\` does not name it; they stay until it does`;
    return count > 0 ? [new MillraceError('MILLRACE_QUEUE_UNKNOWN', message)] : [];
  });
}

/** Tells of each job type that is not among the known ones, and of whose jobs one waits in a known queue: once a queue. */
export class Strays {
  readonly #journal: Journal;
  readonly #known: Known;
  readonly #onWarning: (error: MillraceError) => void;
  /** By queue and type. */
  readonly #told = new Set<string>();

  constructor(journal: Journal, known: Known, onWarning: (error: MillraceError) => void) {
    this.#journal = journal;
    this.#known = known;
    this.#onWarning = onWarning;
  }

  /** A job that nobody has just enqueued waits for its turn, or will. */
  notice({ spec: { name, queue } }: { readonly spec: Pick<JobSpec, 'name' | 'queue'> }): void {
    const { types, queues } = this.#known;
    const key = `${queue} ${name}`;
    if (types.has(name) || !queues.has(queue) || this.#told.has(key)) return;
    this.#told.add(key);
    const message = `Jobs named ${name} wait in queue ${queue}, and no such job type is defined; they stay until one is`;
    this.#onWarning(new MillraceError('MILLRACE_JOB_UNKNOWN', message));
  }

  /** Looks at what waits when the engine starts. Never rejects. @param isStopped Whether it is no use any more. */
  async look(isStopped: () => boolean): Promise<void> {
    const { indexes } = this.#journal;
    try {
      for (const queue of this.#known.queues.keys()) {
        for (const name of await indexes.readyTypes(queue)) this.notice({ spec: { name, queue } });
      }
      await this.#lookAt((after) => indexes.due(after, PAGE), isStopped);
      await this.#lookAt((after) => indexes.waiting(after, PAGE), isStopped);
    } catch (thrown) {
      // A journal that was closed meanwhile could not be read.
      if (isStopped()) return;
      const cause = asError(thrown);
      const message = `The names of the waiting jobs could not be read: ${cause.message}`;
      this.#onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
    }
  }

  async #lookAt(
    page: (after: string | undefined) => Promise<IndexPage>,
    isStopped: () => boolean,
  ): Promise<void> {
    let after: string | undefined;
    for (let seen = 0; seen < LOOK && !isStopped(); seen += PAGE) {
      const { entries, next } = await page(after);
      if (entries.length === 0) return;
      const reads = await this.#journal.jobs(entries.map(({ text: id }) => id));
      // One that cannot be read is told of when it is due.
      for (const read of reads) if (read && !(read instanceof MillraceError)) this.notice(read);
      if (next === undefined) return;
      after = next;
    }
  }
}
