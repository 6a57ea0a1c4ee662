/**
 * The only truth about jobs. It commits what their steps change (group-commit.ts), and reads jobs back, with their
 * checksums checked, and what lists them (indexes.ts, ended-jobs.ts).
 */
import { MillraceError } from '../errors.js';
import { MAX_INLINE_BYTES } from '../job/payload-file.js';
import type { JobCounts, Draft, JobSpec } from '../job/record.js';
import { dropMarksOfOtherBoots, isSameBoot } from './boot.js';
import { Counters } from './counters.js';
import { checkFormat } from './format.js';
import { EndedJobs } from './ended-jobs.js';
import { GroupCommit, type OnCommit } from './group-commit.js';
import { Indexes } from './indexes.js';
import { unsealText } from './integrity.js';
import { readJobs, readRecords, type JobRead } from './job-reads.js';
import { readKeyEntries, type KeyEntry } from './key-entry.js';
import { metaKey, specKey, statusKey } from './keys.js';
import { Marks } from './marks.js';
import { Pages } from './pages.js';
import type { PayloadFiles } from './payload-files.js';
import { readNumber } from './meta.js';
import type { Store, StoreView } from './store.js';
import { AT_WORK, Transaction } from './transaction.js';

export type { JobRead } from './job-reads.js';

/** What an open store holds about itself, in memory. */
interface Contents {
  readonly counters: Counters;
  readonly marks: Marks;
  readonly commits: GroupCommit;
}

export class Journal {
  readonly #store: Store;
  readonly #boot: string;
  #counters: Counters;
  #marks: Marks;
  #commits: GroupCommit;
  #generation = 0;
  #reopening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Index entries that were reported. */
  readonly #damaged = new Set<string>();
  /** What was reported before there was a listener. */
  readonly #early: MillraceError[] = [];
  #onCorrupt: ((error: MillraceError) => void) | undefined;
  /** Called when a write has failed and the journal has stopped writing; again only after {@link reopen}. */
  onFailure: (error: MillraceError) => void = () => {};
  /** Called behind each write, when the counters know of it, and before anybody else does. */
  onWritten: (() => void) | undefined;
  /** Where large payloads lie; absent where there is no disk. */
  readonly payloadFiles: PayloadFiles | undefined;
  /** What lists the jobs that have not ended, and what else there is. */
  readonly indexes: Indexes;
  /** What lists those that have. */
  readonly ended: EndedJobs;

  private constructor(
    store: Store,
    boot: string,
    { counters, marks, commits }: Contents,
    payloadFiles: PayloadFiles | undefined,
  ) {
    this.#store = store;
    this.#boot = boot;
    this.payloadFiles = payloadFiles;
    this.#counters = counters;
    this.#marks = marks;
    this.#commits = commits;
    this.#listenTo(commits);
    const pages = new Pages({
      store,
      marks: () => this.#marks,
      assertOpen: () => this.#assertOpen(),
      reportDamage: (key, error) => this.#reportDamage(key, error),
    });
    this.indexes = new Indexes(pages);
    this.ended = new EndedJobs(pages);
  }

  /**
   * @param boot Which start of the machine this is; where it is given, marks of another one are not trusted.
   * @throws MillraceError `MILLRACE_JOURNAL_FORMAT`, `MILLRACE_JOURNAL_CORRUPT`
   */
  static async open(store: Store, boot?: string, payloadFiles?: PayloadFiles): Promise<Journal> {
    await checkFormat(store);
    if (boot !== undefined) await dropMarksOfOtherBoots(store, boot);
    return new Journal(store, boot ?? '', await load(store, 1), payloadFiles);
  }

  /**
   * After a failed write: opens the store again, and goes by what it really holds. Whoever knows something of its
   * contents has to ask anew. Where it rejects, the journal stays failed and this can be called again.
   * @throws MillraceError `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_CLOSED`
   */
  reopen(): Promise<void> {
    this.#assertOpen();
    this.#reopening = this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<void> {
    await this.#commits.whenIdle();
    await this.#store.reopen();
    // Numbers that were given and never reached the disk are not given again either.
    const { counters, marks, commits } = await load(this.#store, this.#commits.nextSequence());
    // Only a write shows that it can be written.
    await commits.reserve();
    commits.skipTo(this.#commits.nextSequence());
    marks.keepPins(this.#marks);
    this.#counters = counters;
    this.#marks = marks;
    this.#commits = commits;
    this.#listenTo(commits);
    this.#generation++;
  }

  #listenTo(commits: GroupCommit): void {
    commits.onFailure = (error) => this.onFailure(error);
    commits.onWritten = () => this.onWritten?.();
  }

  /**
   * Whether an engine was at work when its process died, in this start of the machine: it was neither closed nor told to
   * end, and the machine went on without it.
   */
  async hasCrashed(): Promise<boolean> {
    const key = metaKey(AT_WORK);
    const [note] = await this.#store.getMany([key]);
    if (!note) return false;
    try {
      return isSameBoot(unsealText(key, note), this.#boot);
    } catch (thrown) {
      // It throws nothing else. Where it cannot be told, nobody is suspected.
      this.report(thrown as MillraceError);
      return false;
    }
  }

  /** Notes whether an engine is at work: see {@link hasCrashed}. Not synced, for a power cut is no crash. */
  noteWork(isAtWork: boolean): Promise<void> {
    return this.commit(new Transaction().setAtWork(isAtWork ? this.#boot : undefined));
  }

  /** How often it has been opened again: see {@link Transaction.readIn}. */
  get generation(): number {
    return this.#generation;
  }

  /** A number greater than every one given before, across restarts. */
  nextSequence(): number {
    return this.#commits.nextSequence();
  }

  /** Why the journal has stopped writing. */
  get failure(): MillraceError | undefined {
    return this.#commits.failure;
  }

  /** Called for each damaged index entry that a page left out, and for what is wrong with the files. */
  set onCorrupt(listener: (error: MillraceError) => void) {
    this.#onCorrupt = listener;
    for (const error of this.#early.splice(0)) listener(error);
  }

  /** Tells of what was found beside the reading. */
  report(error: MillraceError): void {
    if (this.#onCorrupt) this.#onCorrupt(error);
    else this.#early.push(error);
  }

  /**
   * Resolves once the changes are as durable as the transaction asks. Commits take effect, and resolve, in the
   * order of the calls, but for urgent ones, which may overtake others.
   * @throws MillraceError `MILLRACE_JOURNAL_WRITE_FAILED`: the changes may or may not be there after {@link reopen}.
   */
  commit(transaction: Transaction): Promise<void> {
    return new Promise((resolve, reject) =>
      this.submit(transaction, (error) => (error ? reject(error) : resolve())),
    );
  }

  /**
   * As {@link commit}, with a callback. Until {@link Transaction.isClosed} says that it is being written, more
   * changes can join it.
   */
  submit(transaction: Transaction, onCommit: OnCommit): void {
    const { generation = this.#generation } = transaction;
    if (this.#closing) queueMicrotask(() => onCommit(closedError()));
    else if (generation !== this.#generation) queueMicrotask(() => onCommit(outdatedError()));
    else if (transaction.leftFiles.length === 0) this.#commits.submit(transaction, onCommit);
    else this.#commits.submit(transaction, (error) => this.#discardLeft(transaction, error, onCommit));
  }

  /**
   * A new job as its record will have it: where its payload is large, that is written to its file first, and the job must
   * be committed, or the file discarded.
   */
  storePayload(spec: JobSpec): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    const isLarge = this.payloadFiles && spec.payload.byteLength > MAX_INLINE_BYTES;
    return isLarge ? this.payloadFiles.store(spec) : spec;
  }

  /** These jobs are not committed after all, and certainly never were. */
  discardPayloads(specs: readonly JobSpec[]): void {
    const files = specs.flatMap(({ payloadFile }) => payloadFile ?? []);
    if (files.length > 0) this.payloadFiles?.discard(files);
  }

  /** The payload of a job, wherever it lies. @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
  async payloadOf(spec: JobSpec): Promise<Uint8Array> {
    return this.payloadFiles ? this.payloadFiles.read(spec) : spec.payload;
  }

  #discardLeft({ leftFiles }: Transaction, error: Error | undefined, onCommit: OnCommit): void {
    if (!error) this.payloadFiles?.discard(leftFiles);
    onCommit(error);
  }

  counts(queue?: string): JobCounts {
    return queue === undefined ? this.#counters.total() : this.#counters.of(queue);
  }

  /** Every queue that ever had a job. */
  queues(): string[] {
    return this.#counters.queues();
  }

  async job(id: string): Promise<JobRead> {
    const [job] = await this.jobs([id]);
    return job;
  }

  /** In the order of the ids. @throws MillraceError where the journal has failed, and cannot be read for that either. */
  async jobs(ids: readonly string[]): Promise<JobRead[]> {
    this.#assertOpen();
    try {
      return await readJobs(this.#store, ids);
    } catch (thrown) {
      throw this.failure ?? thrown;
    }
  }

  /** What is kept beside the jobs' own records, in the order of its keys; or why it cannot be read. */
  async records(keys: readonly string[]): Promise<(Uint8Array | MillraceError | undefined)[]> {
    this.#assertOpen();
    try {
      return await readRecords(this.#store, keys);
    } catch (thrown) {
      throw this.failure ?? thrown;
    }
  }

  /**
   * Who took unique keys last, in their order: whether he holds them is told by his job, or its time.
   * @param keys See `uniqueKeyOf`.
   */
  async keyEntries(keys: readonly string[]): Promise<(KeyEntry | undefined)[]> {
    this.#assertOpen();
    try {
      return await readKeyEntries(this.#store, keys, (key, error) => this.#reportDamage(key, error));
    } catch (thrown) {
      throw this.failure ?? thrown;
    }
  }

  /** All that is committed, at this moment. To be closed; what it shows stays on the disk until then. */
  view(): StoreView {
    this.#assertOpen();
    const view = this.#store.view();
    const release = this.payloadFiles?.keep();
    let isClosed = false;
    return {
      getMany: (keys) => view.getMany(keys),
      page: (range) => view.page(range),
      close: () => {
        if (!isClosed) release?.();
        isClosed = true;
        return view.close();
      },
    };
  }

  /** About how many bytes the jobs with ids from one to another take, those that were removed included. */
  async sizeOf(from: string, to: string): Promise<number> {
    this.#assertOpen();
    const sizes = RECORD_KEYS.map(async (key) => this.#store.sizeOf?.(key(from), key(to)));
    return (await Promise.all(sizes)).reduce<number>((sum, size = 0) => sum + size, 0);
  }

  /**
   * Makes room where jobs with ids from one to another were removed. LevelDB leaves its log for that, whether anything
   * was written to it or not; and one that was left empty could not be told from one that a power cut has emptied
   * (file-check.ts). So each gets something first: the removal of a key that never was.
   */
  async compact(from: string, to: string): Promise<void> {
    for (const key of RECORD_KEYS) {
      this.#assertOpen();
      await this.commit(new Transaction().forget(metaKey('compaction')));
      await this.#store.compact?.(key(from), key(to));
    }
  }

  /** Tells the journal that nothing lives below `key` in the span that begins with `from`. */
  raiseMark(from: string, key: string): void {
    this.#marks.raise(from, key);
  }

  /** Tells the journal that the entry stays where it is, whatever {@link raiseMark} is told later. */
  pin(key: string): void {
    this.#marks.pin(key);
  }

  /** Writes what is waiting, then lets go of the store. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Whether it could be opened again is of no interest any more.
    await this.#reopening?.catch(() => {});
    await this.#commits.whenIdle();
    await this.payloadFiles?.close();
    await this.#store.close();
  }

  #reportDamage(key: string, error: MillraceError): void {
    if (!this.#damaged.has(key)) this.report(error);
    this.#damaged.add(key);
    this.pin(key);
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError();
  }
}

/** @param sequence The least number to give next. */
async function load(store: Store, sequence: number): Promise<Contents> {
  const reserved = (await readNumber(store, 'sequence')) ?? 1;
  const [counters, marks] = await Promise.all([Counters.load(store), Marks.load(store)]);
  const commits = new GroupCommit(store, counters, marks, Math.max(sequence, reserved), reserved);
  return { counters, marks, commits };
}

const RECORD_KEYS = [specKey, statusKey];

const closedError = (): MillraceError => new MillraceError('MILLRACE_CLOSED', 'The journal is closed');

function outdatedError(): MillraceError {
  const message = 'The journal failed and was opened again while this was being decided; try it again';
  return new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message);
}
