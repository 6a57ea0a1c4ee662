/** Fills the windows of lanes from the journal, a page at a time, and rests where it cannot be read. */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { placeOf } from '../journal/keys.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import type { Window } from '../queue/window.js';

export interface ReadLane {
  readonly queue: string;
  /** The job type. */
  readonly name: string;
  /** What the journal calls the lane. */
  readonly lane: string;
  window: Window;
  /** How many entries are read at once. */
  readonly page: number;
  /** All lanes of a type in a queue rest together. */
  readonly rest: Rest;
}

/** What could not be read waits to be tried again. */
export interface Rest {
  timer?: Timer | undefined;
}

export interface LaneReadsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  /** There are entries that were not there before. */
  readonly onRefill: () => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** A job with a greater payload is read again when it is claimed, so that windows stay small. */
const MAX_CACHED_PAYLOAD_BYTES = 4_096;
/** How many jobs are read at once: enough to be quick, few enough not to be felt on the event loop. */
const FETCH_SIZE = 200;
/** Before what could not be read is tried again. */
const RETRY_MS = 1_000;

export class LaneReads {
  readonly #links: LaneReadsLinks;
  readonly #refills = new Set<Promise<void>>();
  #isStopped = false;

  constructor(links: LaneReadsLinks) {
    this.#links = links;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    this.#isStopped = false;
  }

  /** From now on nothing is read. Whoever waits for a retry is the caller's to tell. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves once nothing is being read. */
  async whenIdle(): Promise<void> {
    while (this.#refills.size > 0) await Promise.all(this.#refills);
  }

  /** Something is being read. @param reading Never rejects. */
  track(reading: Promise<void>): void {
    const refill = reading.finally(() => this.#refills.delete(refill));
    this.#refills.add(refill);
  }

  wantMore(lane: ReadLane): void {
    if (this.#isStopped || lane.rest.timer || lane.window.wants === undefined) return;
    this.track(this.#refill(lane));
  }

  /** What could not be read rests, so that trying again neither stops nor spins. */
  retryLater(rest: Rest): void {
    const { clock, onRefill } = this.#links;
    if (this.#isStopped) return;
    rest.timer ??= clock.setTimer(() => {
      rest.timer = undefined;
      onRefill();
    }, RETRY_MS);
  }

  /** A page of a type's waiting jobs could not be read. */
  failed({ queue, name, rest }: Pick<ReadLane, 'queue' | 'name' | 'rest'>, thrown: unknown): void {
    if (this.#isStopped || rest.timer) return;
    this.retryLater(rest);
    const cause = asError(thrown);
    const message = `The waiting ${name} jobs of queue ${queue} could not be read, and are tried again: ${cause.message}`;
    this.#links.onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
  }

  async #refill(lane: ReadLane): Promise<void> {
    const { journal, onRefill } = this.#links;
    const { queue, name, window } = lane;
    const after = window.wants;
    if (after === undefined) return;
    let entries: ReadyEntry[] = [];
    window.beginPage();
    try {
      const from = after === '' ? undefined : after;
      const page = await journal.indexes.ready(queue, lane.lane, from, lane.page);
      entries = page.entries.map(({ key, text: id }) => ({ key, id, name, job: undefined }));
      window.endPage({ ...page, entries });
    } catch (thrown) {
      window.endPage(undefined);
      if (this.#isStopped) return;
      this.failed(lane, thrown);
    }
    // Also where it failed: the lane rests, and others that had to wait for its first entry go on.
    onRefill();
    await this.#fetchJobs(entries);
  }

  /** Reads the jobs themselves before they are needed: a claim that has to read them takes longer. */
  async #fetchJobs(entries: readonly ReadyEntry[]): Promise<void> {
    for (let from = 0; from < entries.length && !this.#isStopped; from += FETCH_SIZE) {
      const some = entries.slice(from, from + FETCH_SIZE);
      try {
        const jobs = await this.#links.journal.jobs(some.map(({ id }) => id));
        for (const [i, entry] of some.entries()) {
          const job = jobs[i];
          // What does not fit here is for the claim to deal with, as is what could not be read.
          if (!job || job instanceof MillraceError || placeOf(job) !== entry.key) continue;
          entry.job = cached(job);
        }
      } catch {
        return; // The claims read again, and report what keeps them from it.
      }
    }
  }
}

/** The job, where it is small enough to be kept with its entry. */
export function cached(job: Job): Job | undefined {
  return job.spec.payload.byteLength <= MAX_CACHED_PAYLOAD_BYTES ? job : undefined;
}
