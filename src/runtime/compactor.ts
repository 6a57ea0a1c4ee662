/**
 * Has the journal make room where jobs were removed. LevelDB does so by itself only when much is written over them: the
 * removal of a large record is a small one, and where jobs come and go the dead would lie there for very long.
 *
 * It begins once a part of what lies in their range is dead, so that what is copied for that is no more than a few
 * times of what was removed; and goes on piece by piece, for each holds up a thread of libuv's pool, and close().
 */
import { asError, MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';

export interface CompactorLinks {
  readonly journal: Journal;
  readonly onWarning: (error: MillraceError) => void;
}

/** Less is not worth the while. */
const WORTHWHILE_BYTES = 16 << 20;
/** Which part of what lies between the first and the last removed job has to be dead. */
const DEAD_SHARE = 1 / 3;
/** So much was removed within a piece. */
const PIECE_BYTES = 4 << 20;
/** Beside payload and result: about what keys and the rest of two records take. */
const RECORD_BYTES = 250;

export class Compactor {
  readonly #links: CompactorLinks;
  /** The ids of removed jobs between which the pieces lie. */
  #cuts: string[] = [];
  #first: string | undefined;
  #last = '';
  #bytes = 0;
  #bytesAtCut = 0;
  #work: Promise<void> | undefined;
  #isStopped = false;

  constructor(links: CompactorLinks) {
    this.#links = links;
  }

  start(): void {
    this.#isStopped = false;
  }

  /** Waits for the piece that is being compacted. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
  }

  /** Resolves once nothing is being compacted. */
  async passed(): Promise<void> {
    await this.#work;
  }

  /** A job was removed. @param bytes Of its payload and result. */
  removed(id: string, bytes: number): void {
    if (this.#first === undefined || id < this.#first) this.#first = id;
    if (id > this.#last) this.#last = id;
    this.#bytes += bytes + RECORD_BYTES;
    if (this.#bytes - this.#bytesAtCut < PIECE_BYTES) return;
    this.#bytesAtCut = this.#bytes;
    this.#cuts.push(id);
  }

  /** Begins where that is worth the while; nobody has to wait for it. */
  begin(): void {
    if (this.#work || this.#isStopped || this.#bytes < WORTHWHILE_BYTES) return;
    this.#work = this.#compact().finally(() => {
      this.#work = undefined;
    });
  }

  async #compact(): Promise<void> {
    const { journal, onWarning } = this.#links;
    try {
      const first = this.#first ?? '';
      if ((await journal.sizeOf(first, this.#last)) * DEAD_SHARE > this.#bytes) return;
      const ends = [...this.#cuts.sort(), this.#last];
      this.#forget();
      let from = first;
      for (const to of ends) {
        if (this.#isStopped) return;
        await journal.compact(from, to);
        from = to;
      }
    } catch (thrown) {
      if (this.#isStopped || journal.failure) return;
      const cause = asError(thrown);
      const message = `The room of removed jobs could not be given back yet: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
    }
  }

  /** What is removed from here on is for the next time. */
  #forget(): void {
    this.#cuts = [];
    this.#first = undefined;
    this.#last = '';
    this.#bytes = 0;
    this.#bytesAtCut = 0;
  }
}
