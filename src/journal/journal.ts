/**
 * The only truth about jobs. It turns steps of jobs into atomic batches, commits what arrives together as one
 * write (group commit), and reads jobs back with their checksums checked.
 *
 * One write is in flight; what arrives meanwhile forms the next. A write syncs if any of its members asks for
 * it; urgent members go ahead of it without. After the first failed write nothing more is written: LevelDB can acknowledge such writes and lose them.
 */
import { asError, MillraceError } from '../errors.js';
import { decodeSpec, decodeStatus, type Job, type JobCounts } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import { dropMarksOfOtherBoots } from './boot.js';
import { Counters } from './counters.js';
import { CHECKSUM_BYTES, seal, unseal } from './integrity.js';
import {
  claimOf,
  decodeRoster,
  DUE_SPAN,
  metaKey,
  laneOf,
  laneSpan,
  readySpan,
  RUNNING_SPAN,
  specKey,
  statusKey,
  type Span,
} from './keys.js';
import { Marks } from './marks.js';
import type { Store } from './store.js';
import type { Transaction } from './transaction.js';

/** The layout of keys and values that this version writes. Older ones are migrated, newer ones refused. */
export const FORMAT_VERSION = 2;

const FORMAT_1 = 0x31;

/** How many sequence numbers an open journal reserves ahead, so that a crash skips some and repeats none. */
const SEQUENCE_BLOCK = 16_384;

/** How many changes are handed to the store in one go. */
const SLICE = 4_096;

/** A job, the reason why its record cannot be read, or nothing. */
export type JobRead = Job | MillraceError | undefined;

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

export interface RosterPage {
  readonly rosters: readonly Roster[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** Called once, when the transaction is committed, or will never be. */
export type OnCommit = (error: Error | undefined) => void;

interface Waiting {
  readonly transaction: Transaction;
  readonly onCommit: OnCommit;
}

export class Journal {
  readonly #store: Store;
  readonly #counters: Counters;
  readonly #marks: Marks;
  #sequence: number;
  #reserved: number;
  #waiting: Waiting[] = [];
  #writing = false;
  #failure: MillraceError | undefined;
  #closing: Promise<void> | undefined;
  #idle: (() => void)[] = [];
  /** Index entries that were reported. */
  readonly #damaged = new Set<string>();
  /** Called once, when a write has failed and the journal has stopped writing. */
  onFailure: (error: MillraceError) => void = () => {};
  /** Called for each damaged index entry that a page left out. */
  onCorrupt: (error: MillraceError) => void = () => {};

  private constructor(store: Store, counters: Counters, marks: Marks, sequence: number) {
    this.#store = store;
    this.#counters = counters;
    this.#marks = marks;
    this.#sequence = sequence;
    this.#reserved = sequence;
  }

  /**
   * @param boot Which start of the machine this is; where it is given, marks of another one are not trusted.
   * @throws MillraceError `MILLRACE_JOURNAL_FORMAT`, `MILLRACE_JOURNAL_CORRUPT`
   */
  static async open(store: Store, boot?: string): Promise<Journal> {
    const format = await readFormat(store);
    if (format !== undefined && format > FORMAT_VERSION) {
      const message = `The journal has format ${format}, and this version of Millrace knows formats up to ${FORMAT_VERSION}: open it with the version that wrote it, or a newer one`;
      throw new MillraceError('MILLRACE_JOURNAL_FORMAT', message);
    }
    if (format !== undefined && format < FORMAT_VERSION) {
      const message = `The journal has format ${format}, which was never released and cannot be read: finish its jobs with the version that wrote it, or use another directory`;
      throw new MillraceError('MILLRACE_JOURNAL_FORMAT', message);
    }
    const sequence = await readMeta(store, 'sequence');
    if (format === undefined) await writeFormat(store);
    if (boot !== undefined) await dropMarksOfOtherBoots(store, boot);
    const [counters, marks] = await Promise.all([Counters.load(store), Marks.load(store)]);
    return new Journal(store, counters, marks, sequence ?? 1);
  }

  /** A number greater than every one given before, across restarts. */
  nextSequence(): number {
    return this.#sequence++;
  }

  get failure(): MillraceError | undefined {
    return this.#failure;
  }

  /**
   * Resolves once the changes are as durable as the transaction asks. Commits take effect, and resolve, in the
   * order of the calls, but for urgent ones, which may overtake others.
   * @throws MillraceError `MILLRACE_JOURNAL_WRITE_FAILED`: the changes may or may not be there after a reopen.
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
    const refusal = this.#failure ?? (this.#closing && closedError());
    if (refusal) {
      queueMicrotask(() => onCommit(refusal));
      return;
    }
    this.#waiting.push({ transaction, onCommit });
    if (!this.#writing) this.#begin();
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

  /** In the order of the ids. */
  async jobs(ids: readonly string[]): Promise<JobRead[]> {
    this.#assertOpen();
    try {
      return await this.#readJobs(ids);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      // Damage that takes one of them must not take the others, too.
      return ids.length === 1 ? [thrown] : (await Promise.all(ids.map((id) => this.jobs([id])))).flat();
    }
  }

  async #readJobs(ids: readonly string[]): Promise<JobRead[]> {
    const keys = ids.flatMap((id) => [specKey(id), statusKey(id)]);
    const values = await this.#store.getMany(keys);
    return ids.map((id, i) => readJob(id, values[2 * i], values[2 * i + 1]));
  }

  /** Available jobs of one type in a queue, in the order of claiming, behind the key `after`. */
  ready(queue: string, name: string, after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(laneSpan(queue, name), after, limit);
  }

  /** The job types that have available jobs in a queue. */
  async lanes(queue: string): Promise<string[]> {
    this.#assertOpen();
    const lanes: string[] = [];
    const span = readySpan(queue);
    for (let from = span.from; ;) {
      const [first] = await this.#store.page({ from, to: span.to, limit: 1 });
      if (!first) return lanes;
      const lane = laneOf(first.key);
      lanes.push(lane);
      from = laneSpan(queue, lane).to;
    }
  }

  /** Scheduled and retryable jobs, the first due first, behind the key `after`. */
  due(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#page(DUE_SPAN, after, limit);
  }

  /** The claims whose jobs have not all left them, in their order, behind the key `after`. */
  async running(after: string | undefined, limit: number): Promise<RosterPage> {
    const { entries, last } = await this.#read(RUNNING_SPAN, after, limit, decodeRoster);
    const rosters = entries.map(({ key, value }) => ({ key, claim: claimOf(key), ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
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
    this.#closing ??= this.#settle().then(() => this.#store.close());
    return this.#closing;
  }

  async #page(span: Span, after: string | undefined, limit: number): Promise<IndexPage> {
    const { entries, last } = await this.#read(span, after, limit, (bytes) => Buffer.from(bytes).toString());
    const texts = entries.map(({ key, value }) => ({ key, text: value }));
    return last === undefined ? { entries: texts } : { entries: texts, next: last };
  }

  /** @returns the entries that are sound, and, where there may be more, the last key that was read. */
  async #read<Value>(
    span: Span,
    after: string | undefined,
    limit: number,
    decode: (bytes: Uint8Array) => Value,
  ): Promise<{ entries: { key: string; value: Value }[]; last: string | undefined }> {
    this.#assertOpen();
    const range =
      after === undefined ? { from: this.#marks.startOf(span.from) } : { from: after, after: true };
    const read = await this.#store.page({ ...range, to: span.to, limit });
    const entries: { key: string; value: Value }[] = [];
    for (const { key, value } of read) {
      try {
        entries.push({ key, value: decode(unseal(key, value)) });
      } catch (thrown) {
        // unseal() throws nothing else, and what it lets pass can be decoded.
        this.#reportDamage(key, thrown as MillraceError);
      }
    }
    return { entries, last: read.length === limit ? read.at(-1)?.key : undefined };
  }

  #reportDamage(key: string, error: MillraceError): void {
    if (!this.#damaged.has(key)) this.onCorrupt(error);
    this.#damaged.add(key);
    this.pin(key);
  }

  /** The write starts in the next turn of the event loop, so that everything of this turn travels with it. */
  #begin(): void {
    this.#writing = true;
    setImmediate(() => void this.#write());
  }

  async #write(): Promise<void> {
    const members = this.#take();
    try {
      await this.#writeBatch(members);
    } catch (thrown) {
      this.#fail(asError(thrown), members);
      return;
    }
    this.#counters.written();
    for (const { onCommit } of members) onCommit(undefined);
    if (this.#waiting.length > 0) {
      this.#begin();
      return;
    }
    this.#writing = false;
    for (const idle of this.#idle.splice(0)) idle();
  }

  /** All that wait; or, where some of them would have to wait for the disk because of others, those first. */
  #take(): Waiting[] {
    const waiting = this.#waiting;
    const urgent = waiting.filter(({ transaction }) => transaction.isUrgent);
    const hasBoth = urgent.length > 0 && urgent.length < waiting.length;
    if (hasBoth && waiting.some(({ transaction }) => transaction.sync)) {
      this.#waiting = waiting.filter(({ transaction }) => !transaction.isUrgent);
      return urgent;
    }
    this.#waiting = [];
    return waiting;
  }

  async #writeBatch(members: readonly Waiting[]): Promise<void> {
    const batch = this.#store.batch();
    let sync = false;
    this.#marks.begin();
    for (const { transaction } of members) {
      transaction.close();
      const { keys, values } = transaction;
      for (const [i, key] of keys.entries()) {
        const value = values[i];
        if (value) batch.put(key, value);
        else batch.del(key);
        // Thousands of jobs that go in together must not hold up the event loop.
        if (i % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      }
      this.#counters.change(transaction.counts);
      for (const place of transaction.places) this.#marks.note(place);
      sync ||= transaction.sync;
    }
    this.#counters.addTo(batch);
    this.#marks.addTo(batch);
    if (this.#sequence > this.#reserved) {
      this.#reserved = this.#sequence + SEQUENCE_BLOCK;
      putNumber(batch, 'sequence', this.#reserved);
      // LevelDB does not sync a log that it leaves for a new one, so a later sync need not cover an earlier write.
      sync = true;
    }
    await batch.write(sync);
  }

  #fail(cause: Error, members: readonly Waiting[]): void {
    const message = `The journal could not be written: ${cause.message}. Nothing more is written to it; make room or repair the disk, then open it again`;
    this.#failure = new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message, { cause });
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#writing = false;
    for (const { onCommit } of [...members, ...waiting]) onCommit(this.#failure);
    this.onFailure(this.#failure);
    for (const idle of this.#idle.splice(0)) idle();
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError();
  }

  #settle(): Promise<void> {
    return this.#writing ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }
}

const closedError = (): MillraceError => new MillraceError('MILLRACE_CLOSED', 'The journal is closed');

function readJob(id: string, spec: Uint8Array | undefined, status: Uint8Array | undefined): JobRead {
  if (!spec) return undefined;
  try {
    const decoded = decodeSpec(id, unseal(specKey(id), spec));
    return {
      spec: decoded,
      status: status ? decodeStatus(unseal(statusKey(id), status)) : enqueued(decoded),
    };
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    return new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record of job ${id} cannot be decoded`, {
      cause: thrown,
    });
  }
}

/** Meta numbers are kept as decimal text. */
function putNumber(batch: { put(key: string, value: Uint8Array): void }, name: string, value: number): void {
  const key = metaKey(name);
  batch.put(key, seal(key, Buffer.from(String(value))));
}

async function readMeta(store: Store, name: string): Promise<number | undefined> {
  const key = metaKey(name);
  const [value] = await store.getMany([key]);
  return value && numberOf(unseal(key, value));
}

/** Format 1 had another checksum; what it looks like says enough. */
async function readFormat(store: Store): Promise<number | undefined> {
  const key = metaKey('format');
  const [value] = await store.getMany([key]);
  if (value?.[0] === FORMAT_1 && value.byteLength === 1 + CHECKSUM_BYTES) return 1;
  return value && numberOf(unseal(key, value));
}

const numberOf = (text: Uint8Array): number => Number(Buffer.from(text).toString());

async function writeFormat(store: Store): Promise<void> {
  const batch = store.batch();
  putNumber(batch, 'format', FORMAT_VERSION);
  await batch.write(true);
}
