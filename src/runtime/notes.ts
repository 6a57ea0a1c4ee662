/**
 * Keeps what jobs tell of themselves, progress and log lines: in memory while an attempt runs, in the journal at most
 * once a second, and in the write of its outcome. None of it is waited for, or synced; what could not be written goes
 * with what comes later.
 */
import type { Clock, Timer } from '../clock.js';
import type { MillraceError } from '../errors.js';
import { cutMessage, encodeFields, encodeNotes, type AttemptNotes } from '../job/notes.js';
import { keeping } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { LogLine, Task } from '../pool/contract.js';
import type { Attempt } from './attempt.js';
import type { Executor } from './executor.js';

export interface NotesLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly executor: Executor;
  /** Why nothing can be written now. */
  readonly outage: () => MillraceError | undefined;
}

const WRITE_EVERY_MS = 1_000;

export class Notes {
  readonly #links: NotesLinks;
  /** What is to be written next time. */
  #dirty = new Set<Attempt>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(links: NotesLinks) {
    this.#links = links;
  }

  /** @param value Encoded. */
  progress(task: Task, value: Uint8Array): void {
    const notes = this.#notesOf(task);
    if (notes) notes.progress = value;
  }

  log(task: Task, { level, message, fields }: LogLine): void {
    const keep = this.#links.executor.attemptOf(task)?.type.logLines;
    const notes = keep === undefined || keep === 0 ? undefined : this.#notesOf(task);
    if (!notes) return;
    const { attempt } = task;
    const at = this.#links.clock.now();
    notes.lines ??= [];
    notes.lines.push({ at, level, message: cutMessage(message), fields: encodeFields(fields), attempt });
    if (keep !== undefined && notes.lines.length > keep) notes.lines.splice(0, notes.lines.length - keep);
  }

  /** Nothing is written any more but outcomes. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Those that are about to change; none once the outcome is on its way. */
  #notesOf(task: Task): AttemptNotes | undefined {
    const attempt = this.#links.executor.attemptOf(task);
    if (!attempt || attempt.outcome) return undefined;
    attempt.notes ??= { isDirty: true };
    attempt.notes.isDirty = true;
    this.#dirty.add(attempt);
    this.#arm();
    return attempt.notes;
  }

  #arm(): void {
    if (this.#isStopped || this.#dirty.size === 0) return;
    this.#timer ??= this.#links.clock.setTimer(() => this.#write(), WRITE_EVERY_MS, { keepsAlive: false });
  }

  #write(): void {
    const { journal, outage } = this.#links;
    this.#timer = undefined;
    // Whose outcome is on its way has its notes in it.
    const attempts = [...this.#dirty].filter(({ outcome }) => !outcome);
    this.#dirty = new Set();
    const change = new Transaction();
    if (!outage()) for (const attempt of attempts) addTo(change, attempt);
    if (change.keys.length === 0) this.#later(attempts);
    // The journal tells itself when it cannot be written.
    else journal.commit(change).catch(() => this.#later(attempts));
  }

  #later(attempts: readonly Attempt[]): void {
    for (const attempt of attempts) {
      if (attempt.notes) attempt.notes.isDirty = true;
      this.#dirty.add(attempt);
    }
    this.#arm();
  }
}

/** The first ones of a job write its status, too, which says from then on that there are some. */
function addTo(change: Transaction, attempt: Attempt): void {
  const { job, notes } = attempt;
  if (!job || !notes) return;
  const { spec, status } = job;
  const next = keeping(status, 'hasNotes');
  if (next !== status) {
    attempt.job = { spec, status: next };
    change.move(spec, status, next);
  }
  change.putNotes(spec.id, encodeNotes(notes));
  notes.isDirty = false;
}
