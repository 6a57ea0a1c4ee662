/**
 * Copies of an engine's jobs, on their way out or in: backup, export, import. What is under way when the engine closes
 * is ended then, so that nothing reads from a journal that has been let go.
 */
import type { Clock } from '../clock.js';
import type { ImportCounts } from '../engine.js';
import { asError, invalidOption, isInstance, MillraceError } from '../errors.js';
import { backUp, type BackupReport } from '../journal/backup.js';
import type { Journal } from '../journal/journal.js';
import { exportLines } from './export.js';
import { Import, type ImportLinks } from './import.js';

export interface TransferLinks extends ImportLinks {
  readonly journal: Journal;
  /** The journal's. */
  readonly directory: string;
  readonly clock: Clock;
}

export class Transfer {
  readonly #links: TransferLinks;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(links: TransferLinks) {
    this.#links = links;
  }

  /** @see Millrace.backup */
  async backUp(directory: string, signal?: AbortSignal): Promise<BackupReport> {
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw invalidOption('signal', 'an AbortSignal', signal);
    const { journal, directory: own } = this.#links;
    const closing = this.#closing.signal;
    const either = signal ? AbortSignal.any([closing, signal]) : closing;
    closing.throwIfAborted();
    return this.#run(async () => backUp(journal.view(), directory, own, either), either);
  }

  /** @see JobEngine.export */
  async *export(): AsyncGenerator<string, undefined> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const { journal, clock, onWarning } = this.#links;
    const view = await this.#run(async () => journal.view(), signal);
    const lines = exportLines(view, clock.now(), (spec) => journal.payloadOf(spec), onWarning);
    try {
      for (;;) {
        // Whoever takes the lines may never ask for another: so only the step that is under way is waited for.
        signal.throwIfAborted();
        const { value } = await this.#run(() => lines.next(), signal);
        if (value === undefined) return;
        yield value;
      }
    } finally {
      await lines.return(undefined);
    }
  }

  /** @see JobEngine.import */
  import(lines: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Promise<ImportCounts> {
    const pieces = typeof lines === 'string' ? [lines] : lines;
    return new Import(this.#links).run(pieces, this.#closing.signal);
  }

  /** Ends what is under way; the journal is not read any more when it resolves. */
  async close(): Promise<void> {
    const message = 'The engine is closed, or closing; a backup, export or import has to be made again';
    this.#closing.abort(new MillraceError('MILLRACE_CLOSED', message));
    await Promise.allSettled(this.#running);
  }

  async #run<Value>(begin: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
    const work = begin();
    this.#running.add(work);
    try {
      return await work;
    } catch (thrown) {
      if (isInstance(thrown, MillraceError)) throw thrown;
      signal.throwIfAborted();
      const cause = asError(thrown);
      const message = `The journal could not be read: ${cause.message}`;
      throw new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause });
    } finally {
      this.#running.delete(work);
    }
  }
}
