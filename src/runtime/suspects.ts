/**
 * Jobs that were in flight both times that their process crashed last. Each runs alone, so that it is known whether it is
 * the one: nothing else is in flight meanwhile, and should the process die again, recovery finds this orphan only.
 *
 * A suspect keeps its place in its queue. When its turn comes nothing more is started until what runs is over. Where that
 * takes too long the others go on for a while, and then it is tried again with twice the patience: neither waits for ever.
 */
import type { Clock, Timer } from '../clock.js';
import { MillraceError } from '../errors.js';
import { isSuspect, type Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { Executor } from './executor.js';

export interface SuspectsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly executor: Pick<Executor, 'size' | 'has' | 'isLingering' | 'whenIdle'>;
  readonly onWarning: (error: MillraceError) => void;
  /** Something may be started that could not be. */
  readonly wake: () => void;
}

/** What may be started now. */
export type Turn = 'any' | 'none' | { readonly only: string };

/** How long others are held up at first for what still runs, and so long they go on when that was not enough. */
const FIRST_PATIENCE_MS = 10_000;
const PAGE = 100;

export class Suspects {
  readonly #links: SuspectsLinks;
  #ids = new Set<string>();
  /** The one whose turn has come: it waits until nothing else is in flight. */
  #next: string | undefined;
  /** The one that runs. */
  #alone: string | undefined;
  #patienceMs = FIRST_PATIENCE_MS;
  #timer: Timer | undefined;
  /** The others go on for a while. */
  #isResting = false;

  constructor(links: SuspectsLinks) {
    this.#links = links;
  }

  /** By what the journal holds. To be called while nothing changes jobs. */
  async load(): Promise<void> {
    const { journal } = this.#links;
    this.#ids = new Set();
    let after: string | undefined;
    do {
      const { entries, next } = await journal.indexes.suspects(after, PAGE);
      const reads = await journal.jobs(entries.map(({ text: id }) => id));
      const change = new Transaction();
      for (const [i, { key, text: id }] of entries.entries()) {
        const read = reads[i];
        // A damaged record that was buried, or a power cut, can leave an entry without its job.
        const isOne = read instanceof MillraceError || (read !== undefined && isSuspect(read.status));
        if (isOne) this.#ids.add(id);
        else change.forget(key);
      }
      if (change.keys.length > 0) await journal.commit(change);
      after = next;
    } while (after !== undefined);
  }

  /** A job is now this. */
  note({ spec, status }: Job): void {
    if (isSuspect(status)) this.#ids.add(spec.id);
    else if (this.#ids.size > 0) this.#ids.delete(spec.id);
    // It was cancelled, say: nobody has to wait for it.
    if (this.#next === spec.id && !isSuspect(status)) this.pass();
  }

  /** Who holds up all others, for it runs alone or is about to. */
  get holder(): string | undefined {
    const { executor } = this.#links;
    return this.#alone !== undefined && executor.has(this.#alone) ? this.#alone : this.#next;
  }

  isSuspect(id: string): boolean {
    return this.#ids.has(id);
  }

  turn(): Turn {
    const { executor } = this.#links;
    if (this.#alone !== undefined && executor.has(this.#alone)) return 'none';
    this.#alone = undefined;
    if (this.#next === undefined) return 'any';
    if (executor.size > 0) return 'none';
    if (!executor.isLingering) return { only: this.#next };
    this.pass();
    return 'any';
  }

  /** Whether the job lets others pass for now: what lingers may never end. */
  isOut(id: string): boolean {
    return this.#ids.has(id) && (this.#isResting || this.#links.executor.isLingering);
  }

  /**
   * Whether a job that was chosen may start; if not, it is the next, alone.
   * @param isFirst Whether nothing else was chosen with it.
   */
  mayStart(job: { readonly id: string; readonly name: string }, isFirst: boolean): boolean {
    if (!this.#ids.has(job.id)) return true;
    const { executor } = this.#links;
    if (!isFirst || executor.size > 0) this.#wait(job);
    else this.#begin(job);
    return this.#alone === job.id;
  }

  /** Whether a job was chosen that runs alone. */
  get isAlone(): boolean {
    return this.#alone !== undefined;
  }

  /** The one whose turn had come is not to be had: cancelled, or held up by something else. */
  pass(): void {
    this.#timer?.cancel();
    this.#next = undefined;
  }

  /** Holds nothing up any more, until a turn comes again. */
  stop(): void {
    this.pass();
    this.#isResting = false;
    this.#patienceMs = FIRST_PATIENCE_MS;
  }

  #wait(job: { readonly id: string; readonly name: string }): void {
    const { clock, executor, wake } = this.#links;
    this.#tell(job);
    this.#next = job.id;
    this.#timer = clock.setTimer(() => this.#rest(), this.#patienceMs);
    void executor.whenIdle().then(wake);
  }

  #begin(job: { readonly id: string; readonly name: string }): void {
    const { executor, wake } = this.#links;
    if (this.#next !== job.id) this.#tell(job);
    this.stop();
    this.#alone = job.id;
    // Once it has its attempt.
    queueMicrotask(() => void executor.whenIdle().then(wake));
  }

  #rest(): void {
    const { clock, wake } = this.#links;
    this.#next = undefined;
    this.#isResting = true;
    this.#timer = clock.setTimer(() => {
      this.#isResting = false;
      wake();
    }, this.#patienceMs);
    this.#patienceMs *= 2;
    wake();
  }

  #tell({ id, name }: { readonly id: string; readonly name: string }): void {
    const message = `Job ${name} ${id} was in flight both times that its process crashed last. It runs alone now: nothing else starts until it is over. If the process dies again meanwhile, it is to blame`;
    this.#links.onWarning(new MillraceError('MILLRACE_JOB_SUSPECT', message));
  }
}
