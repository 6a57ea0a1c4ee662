/**
 * The available jobs of all queues: a window of each in memory, refilled from the journal, and the choice of the
 * next one. Jobs of names that the code does not know stay in the journal.
 */
import { asError, MillraceError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { READY_SPAN, readyKey } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import { Limits } from '../queue/limits.js';
import { selector, type Selection, type Selector } from '../queue/selector.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Window, WINDOW_SIZE, type ReadyPage } from '../queue/window.js';

interface Line extends QueueSettings {
  readonly window: Window;
  /** Jobs taken since the low-water mark was last raised. */
  taken: number;
}

/** A job that was chosen, and the queue that it counts in. */
export interface Pick extends ReadyEntry {
  readonly queue: string;
}

export interface BacklogOptions {
  readonly queues: Iterable<QueueSettings>;
  readonly selection: Selection;
  /** The job types that the code knows, and how many of each may run at once. */
  readonly typeConcurrency: ReadonlyMap<string, number>;
  /** Job types that share a limit of their own, because they work on libuv's pool. */
  readonly nativeTypes: ReadonlySet<string>;
  readonly nativeConcurrency: number;
  /** There are entries that were not there before. */
  readonly onRefill: () => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** A job with a greater payload is read again when it is claimed, so that windows stay small. */
const MAX_CACHED_PAYLOAD_BYTES = 4_096;
/** The one key of the limit that native job types share. */
const NATIVE = 'native';
const RAISE_MARK_EVERY = 1_000;

export class Backlog {
  readonly #journal: Journal;
  readonly #options: BacklogOptions;
  readonly #lines = new Map<string, Line>();
  readonly #selector: Selector<Line>;
  readonly #queueLimits: Limits;
  readonly #typeLimits: Limits;
  readonly #nativeLimit: Limits;
  readonly #refills = new Set<Promise<void>>();
  #isStopped = false;
  /** Job names that were met in the journal, are not defined, and were reported. */
  readonly #unknown = new Set<string>();

  constructor(journal: Journal, options: BacklogOptions) {
    this.#journal = journal;
    this.#options = options;
    for (const settings of options.queues)
      this.#lines.set(settings.name, { ...settings, window: new Window(), taken: 0 });
    const lines = [...this.#lines.values()];
    this.#selector = selector(options.selection, lines);
    this.#queueLimits = new Limits(new Map(lines.map(({ name, concurrency }) => [name, concurrency])));
    this.#typeLimits = new Limits(options.typeConcurrency);
    this.#nativeLimit = new Limits(new Map([[NATIVE, options.nativeConcurrency]]));
  }

  /** Reads the head of every queue. */
  async load(): Promise<void> {
    await Promise.all([...this.#lines.values()].map((line) => this.#refill(line)));
  }

  /** Reads no more pages, and waits for those that are being read. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#refills);
  }

  /** A committed, available job. */
  add({ spec, status }: Job): void {
    const line = this.#lines.get(spec.queue);
    const entry = { key: readyKey(spec), id: spec.id, name: spec.name };
    if (!line || !this.#isKnown(entry, line)) return;
    const isSmall = spec.payload.byteLength <= MAX_CACHED_PAYLOAD_BYTES;
    line.window.add(isSmall ? { ...entry, job: { spec, status } } : entry);
  }

  /**
   * The next job that can run now; it is hidden until {@link settle}, and counts in its limits until {@link end}.
   * @param hasRoom Whether a job of that type could start.
   * @param accepts Whether this very job could.
   */
  next(hasRoom: (name: string) => boolean, accepts: (entry: ReadyEntry) => boolean): Pick | undefined {
    const found = new Map<Line, ReadyEntry>();
    const isFree = (name: string): boolean => this.#allows(name) && hasRoom(name);
    const line = this.#selector.next((candidate) => {
      this.#wantMore(candidate);
      const entry = this.#queueLimits.allows(candidate.name)
        ? candidate.window.first(isFree, accepts)
        : undefined;
      if (entry) found.set(candidate, entry);
      return entry !== undefined;
    });
    const entry = line && found.get(line);
    if (!line || !entry) return undefined;
    line.window.take(entry.key);
    this.#queueLimits.start(line.name);
    this.#typeLimits.start(entry.name);
    if (this.#options.nativeTypes.has(entry.name)) this.#nativeLimit.start(NATIVE);
    return { ...entry, queue: line.name };
  }

  /** The job that was chosen does not run any more. */
  end({ name, queue }: Pick): void {
    this.#queueLimits.end(queue);
    this.#typeLimits.end(name);
    if (this.#options.nativeTypes.has(name)) this.#nativeLimit.end(NATIVE);
  }

  #allows(name: string): boolean {
    if (this.#options.nativeTypes.has(name) && !this.#nativeLimit.allows(NATIVE)) return false;
    return this.#typeLimits.allows(name);
  }

  /** Hides a job that somebody else than a claim takes away. */
  take(spec: JobSpec): void {
    this.#lines.get(spec.queue)?.window.take(readyKey(spec));
  }

  /** The journal no longer holds the entry. */
  settle(queue: string, key: string): void {
    const line = this.#lines.get(queue);
    if (!line) return;
    line.window.settle(key);
    if (++line.taken < RAISE_MARK_EVERY) return;
    line.taken = 0;
    this.#journal.raiseMark(READY_SPAN(queue).from, line.window.lowestLive());
  }

  /** A job that the code does not know stays where it is, and runs once the code knows it again. */
  #isKnown({ key, name }: ReadyEntry, line: Line): boolean {
    if (this.#options.typeConcurrency.has(name)) return true;
    this.#journal.pin(key);
    if (!this.#unknown.has(name)) {
      this.#unknown.add(name);
      const message = `Jobs named ${name} wait in queue ${line.name}, and no such job type is defined; they stay until one is`;
      this.#options.onWarning(new MillraceError('MILLRACE_JOB_UNKNOWN', message));
    }
    return false;
  }

  #wantMore(line: Line): void {
    if (this.#isStopped || line.window.wants === undefined) return;
    const refill = this.#refill(line).finally(() => this.#refills.delete(refill));
    this.#refills.add(refill);
  }

  async #refill(line: Line): Promise<void> {
    const after = line.window.wants;
    if (after === undefined) return;
    line.window.beginPage();
    try {
      const page = await this.#journal.ready(line.name, after === '' ? undefined : after, WINDOW_SIZE);
      const entries = page.entries.map(readyEntry).filter((entry) => this.#isKnown(entry, line));
      line.window.endPage({ ...page, entries } satisfies ReadyPage);
    } catch (thrown) {
      line.window.endPage(undefined);
      const cause = asError(thrown);
      const message = `The waiting jobs of queue ${line.name} could not be read: ${cause.message}`;
      this.#options.onWarning(new MillraceError('MILLRACE_JOURNAL_CORRUPT', message, { cause }));
      return;
    }
    this.#options.onRefill();
    // A page of jobs that the code does not know leaves the window as it was.
    this.#wantMore(line);
  }
}

/** What the journal keeps with a ready key: `name id`. */
function readyEntry({ key, text }: { key: string; text: string }): ReadyEntry {
  const space = text.indexOf(' ');
  return { key, name: text.slice(0, space), id: text.slice(space + 1) };
}
