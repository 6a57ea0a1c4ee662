/**
 * The only truth about jobs. It commits what their steps change (group-commit.ts), and reads jobs and the pages of
 * their indexes back, with their checksums checked.
 */
import { MillraceError } from '../errors.js';
import { MAX_INLINE_BYTES } from '../job/payload-file.js';
import type { EndedState, JobCounts, Draft, JobSpec } from '../job/record.js';
import { dropMarksOfOtherBoots, isSameBoot } from './boot.js';
import { Counters } from './counters.js';
import { checkFormat } from './format.js';
import { GroupCommit, type OnCommit } from './group-commit.js';
import { unsealBytes, unsealText } from './integrity.js';
import { readJobs, readRecords, type JobRead } from './job-reads.js';
import { readKeyEntries, type KeyEntry } from './key-entry.js';
import {
  childrenSpan,
  claimOf,
  DEADLINES_SPAN,
  DUE_SPAN,
  endedKey,
  endedLaneSpan,
  finishedAtOf,
  keyedSpan,
  laneOf,
  laneSpan,
  membersSpan,
  metaKey,
  NEWS_SPAN,
  parentCountKey,
  pausedOf,
  PAUSES_SPAN,
  rateOf,
  RATES_SPAN,
  readySpan,
  RUNNING_SPAN,
  scheduleOf,
  SCHEDULES_SPAN,
  SPEC_SPAN,
  specKey,
  statusKey,
  SUSPECTS_SPAN,
  SWEEPS_SPAN,
  typeOf,
  WAITING_SPAN,
  type Span,
} from './keys.js';
import { endedLanes, type EndedLane } from './ended-lanes.js';
import { Marks } from './marks.js';
import type { PayloadFiles } from './payload-files.js';
import { readNumber } from './meta.js';
import { unsealRoster } from './roster.js';
import type { Store, StoreView } from './store.js';
import { AT_WORK, Transaction } from './transaction.js';

export type { JobRead } from './job-reads.js';

/** An entry of an index: its key, and what it says about a job. */
export interface IndexEntry {
  readonly key: string;
  readonly text: string;
}

export interface IndexPage {
  readonly entries: readonly IndexEntry[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** Jobs that were claimed together: those that may still be running are among them. */
export interface Roster {
  readonly key: string;
  readonly claim: number;
  readonly ids: readonly string[];
}

/** Jobs of one type that ended together. */
export interface EndedRoster {
  readonly key: string;
  readonly ids: readonly string[];
}

export interface EndedPage {
  readonly rosters: readonly EndedRoster[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

export interface LanePage {
  readonly lanes: readonly string[];
  /** Behind the last of them there is nothing. */
  readonly isLast: boolean;
}

export interface RosterPage {
  readonly rosters: readonly Roster[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** What is kept of a rate limit. */
export interface KeptRate {
  readonly name: string;
  /** Absent where it is damaged, which was reported. */
  readonly record: Uint8Array | undefined;
}

export interface RatePage {
  readonly rates: readonly KeptRate[];
  /** Where to go on; absent where there are no more. */
  readonly next?: string;
}

export interface SchedulePage {
  readonly schedules: readonly { readonly name: string; readonly record: Uint8Array }[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

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

  /** Available jobs of one lane of a queue, in the order of claiming, behind the key `after`. */
  ready(queue: string, lane: string, after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(laneSpan(queue, lane), after, limit);
  }

  /** Available jobs of a type in a queue that have concurrency keys, one key's behind another's, behind the key `after`. */
  readyOfKeys(queue: string, name: string, after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(keyedSpan(queue, name), after, limit);
  }

  /** The job types that have available jobs in a queue. */
  async readyTypes(queue: string): Promise<string[]> {
    this.#assertOpen();
    const names = new Set<string>();
    const span = readySpan(queue);
    for (let from = span.from; ;) {
      const [first] = await this.#store.page({ from, to: span.to, limit: 1 });
      if (!first) return [...names];
      const lane = laneOf(first.key);
      const name = typeOf(lane);
      names.add(name);
      from = (lane === name ? laneSpan : keyedSpan)(queue, name).to;
    }
  }

  /**
   * The lanes that the first keys of a part of the available jobs lie in.
   * @param limit How many keys are read.
   */
  async readyLanes({ from, to }: Span, limit: number): Promise<LanePage> {
    this.#assertOpen();
    const page = await this.#store.page({ from, to, limit });
    const lanes = [...new Set(page.map(({ key }) => laneOf(key)))];
    return { lanes, isLast: page.length < limit };
  }

  /** Jobs that wait for others, in the order of their enqueue, behind the key `after`. */
  waiting(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(WAITING_SPAN, after, limit);
  }

  /** Jobs that have ended and whose children have not been told yet, behind the key `after`. */
  news(after: string | undefined, limit: number): Promise<IndexPage> {
    if (after === undefined) this.#marks.look(NEWS_SPAN.from);
    return this.#page(NEWS_SPAN, after, limit);
  }

  /** The first jobs that wait for one. */
  children(parentId: string, limit: number): Promise<IndexPage> {
    return this.#page(childrenSpan(parentId), undefined, limit);
  }

  /** For how many jobs each still waits; those that wait for none are left out. @param sequences The jobs' own. */
  async parentCounts(sequences: readonly number[]): Promise<ReadonlyMap<number, number>> {
    this.#assertOpen();
    const keys = sequences.map(parentCountKey);
    const values = keys.length > 0 ? await this.#store.getMany(keys) : [];
    return new Map(
      sequences.flatMap((sequence, i) => {
        const [key = '', value] = [keys[i], values[i]];
        return value ? [[sequence, Number(unsealText(key, value))] as const] : [];
      }),
    );
  }

  /** Whether a job of the flow has not ended. */
  async isFlowOpen(flow: string): Promise<boolean> {
    this.#assertOpen();
    return (await this.#store.page({ ...membersSpan(flow), limit: 1 })).length > 0;
  }

  /** Scheduled and retryable jobs, the first due first, behind the key `after`. */
  due(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(DUE_SPAN, after, limit);
  }

  /** Jobs that have not ended, by their deadlines, the first one first, behind the key `after`. */
  deadlines(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(DEADLINES_SPAN, after, limit);
  }

  /** The claims whose jobs have not all left them, in their order, behind the key `after`. */
  async running(after: string | undefined, limit: number): Promise<RosterPage> {
    const { entries, last } = await this.#read(RUNNING_SPAN, after, limit, unsealRoster);
    const rosters = entries.map(({ key, value }) => ({ key, claim: claimOf(key), ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /** Jobs that are to run alone, behind the key `after`. */
  suspects(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(SUSPECTS_SPAN, after, limit);
  }

  /** Schedules by name, behind the key `after`. */
  async schedules(after: string | undefined, limit: number): Promise<SchedulePage> {
    const { entries, last } = await this.#read(SCHEDULES_SPAN, after, limit, unsealBytes);
    const schedules = entries.map(({ key, value }) => ({ name: scheduleOf(key), record: value }));
    return last === undefined ? { schedules } : { schedules, next: last };
  }

  /** The queues that are paused; an empty name stands for all of them. One whose record is damaged is: its key says all. */
  async pauses(): Promise<string[]> {
    this.#assertOpen();
    const entries = await this.#store.page({ ...PAUSES_SPAN, limit: Number.MAX_SAFE_INTEGER });
    return entries.map(({ key }) => pausedOf(key));
  }

  /** What is kept of rate limits, behind the key `after`. */
  async rates(after: string | undefined, limit: number): Promise<RatePage> {
    this.#assertOpen();
    const range = after === undefined ? RATES_SPAN : { ...RATES_SPAN, from: after, after: true };
    const entries = await this.#store.page({ ...range, limit });
    const rates = entries.map(({ key, value }) => {
      try {
        return { name: rateOf(key), record: unsealBytes(key, value) };
      } catch (thrown) {
        // It throws nothing else.
        this.#reportDamage(key, thrown as MillraceError);
        return { name: rateOf(key), record: undefined };
      }
    });
    const last = entries.at(-1);
    return last && entries.length === limit ? { rates, next: last.key } : { rates };
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

  /** Unique keys that are to be looked at, the first due first, behind the key `after`. */
  sweeps(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(SWEEPS_SPAN, after, limit);
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

  /** The job types of which some ended in a state, and when the first of those ended that are kept. */
  endedLanes(state: EndedState): Promise<EndedLane[]> {
    this.#assertOpen();
    return endedLanes(this.#store, this.#marks, state);
  }

  /** Jobs of a type that ended in a state up to an instant, the oldest first, behind the key `after`. */
  async ended(
    state: EndedState,
    name: string,
    { after, until, limit }: { after: string | undefined; until: number; limit: number },
  ): Promise<EndedPage> {
    const { from } = endedLaneSpan(state, name);
    if (after === undefined) this.#marks.look(from);
    const span = { from, to: endedKey(state, name, until + 1, 0) };
    const { entries, last } = await this.#read(span, after, limit, unsealRoster);
    const rosters = entries.map(({ key, value }) => ({ key, ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /**
   * The same for whoever raises no mark for it, at any time.
   * @param since Only rosters of jobs that ended then, or later; where there is no `after`.
   */
  async endedBehind(
    state: EndedState,
    name: string,
    { after, since, limit }: { after: string | undefined; since?: number | undefined; limit: number },
  ): Promise<EndedPage> {
    const { from, to } = endedLaneSpan(state, name);
    const start = this.#marks.startOf(from);
    const first = since === undefined ? start : laterOf(start, endedKey(state, name, since, 0));
    const { entries, last } = await this.#read({ from, to }, after, limit, unsealRoster, first);
    const rosters = entries.map(({ key, value }) => ({ key, ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /** The ids of all jobs there are, in the order of their bytes, behind an id. */
  async ids(after: string | undefined, limit: number): Promise<string[]> {
    this.#assertOpen();
    const range = after === undefined ? { from: SPEC_SPAN.from } : { from: specKey(after), after: true };
    const page = await this.#store.page({ ...range, to: SPEC_SPAN.to, limit, bytes: PAGE_BYTES });
    return page.map(({ key }) => key.slice(SPEC_SPAN.from.length));
  }

  /** The first roster of those that ended after an instant. */
  async firstEndedAfter(
    state: EndedState,
    name: string,
    instant: number,
  ): Promise<{ readonly key: string; readonly finishedAt: number } | undefined> {
    this.#assertOpen();
    const from = endedKey(state, name, instant + 1, 0);
    const [first] = await this.#store.page({ from, to: endedLaneSpan(state, name).to, limit: 1 });
    return first && { key: first.key, finishedAt: finishedAtOf(first.key) };
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

  async #page(span: Span, after: string | undefined, limit: number): Promise<IndexPage> {
    const { entries, last } = await this.#read(span, after, limit, unsealText);
    const texts = entries.map(({ key, value }) => ({ key, text: value }));
    return last === undefined ? { entries: texts } : { entries: texts, next: last };
  }

  /** @returns the entries that are sound, and, where there may be more, the last key that was read. */
  async #read<Value>(
    span: Span,
    after: string | undefined,
    limit: number,
    read: (key: string, record: Uint8Array) => Value,
    start = this.#marks.startOf(span.from),
  ): Promise<{ entries: { key: string; value: Value }[]; last: string | undefined }> {
    this.#assertOpen();
    const range = after === undefined ? { from: start } : { from: after, after: true };
    const page = await this.#store.page({ ...range, to: span.to, limit });
    const entries: { key: string; value: Value }[] = [];
    for (const { key, value } of page) {
      try {
        entries.push({ key, value: read(key, value) });
      } catch (thrown) {
        // It throws nothing else, for what its checksum lets pass can be decoded.
        this.#reportDamage(key, thrown as MillraceError);
      }
    }
    return { entries, last: page.length === limit ? page.at(-1)?.key : undefined };
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

/** A page of records, which hold payloads, ends with the one that takes it to so much. */
const PAGE_BYTES = 1 << 20;

const laterOf = (a: string, b: string): string => (a > b ? a : b);

const RECORD_KEYS = [specKey, statusKey];

const closedError = (): MillraceError => new MillraceError('MILLRACE_CLOSED', 'The journal is closed');

function outdatedError(): MillraceError {
  const message = 'The journal failed and was opened again while this was being decided; try it again';
  return new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message);
}
