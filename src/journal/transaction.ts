/** The changes that one step of a job, or of several, makes to the journal: all of them or none. */
import type { PayloadFile } from '../job/payload-file.js';
import { encodeSpec, encodeStatus } from '../job/record-format.js';
import {
  JOB_STATES,
  isEnd,
  isSuspect,
  type EndedState,
  type Job,
  type JobSpec,
  type JobState,
  type JobStatus,
} from '../job/record.js';
import { heldUntil, holdsKey } from '../job/uniqueness.js';
import { seal, sealBytes, sealText } from './integrity.js';
import { sealKeyEntry } from './key-entry.js';
import {
  checkpointKey,
  childKey,
  deadlineKeyOf,
  endedKey,
  flowEntries,
  incomplete,
  memberKey,
  metaKey,
  newsKey,
  newsText,
  NEWS_SPAN,
  parentCountKey,
  pauseKey,
  notesKey,
  placeOf,
  rateKey,
  runningKey,
  scheduleKey,
  specKey,
  statusKey,
  suspectKey,
  sweepKey,
  uniqueKeyOf,
} from './keys.js';
import { sealRoster } from './roster.js';

/** The name of the note that {@link Transaction.setAtWork} makes. */
export const AT_WORK = 'atWork';

/** By how much the number of jobs in each state changes, in the order of {@link JOB_STATES}. */
export type CountChange = number[];

/** Jobs of a type that ended in this transaction in one state, under a key that tells when the last of them did. */
interface Ended {
  readonly state: EndedState;
  readonly name: string;
  /** How often they were retried before. */
  readonly retries: number;
  finishedAt: number;
  readonly sequence: number;
  readonly ids: string[];
}

export class Transaction {
  /** The keys that change; `undefined` among the values removes one. */
  readonly keys: string[] = [];
  readonly values: (Uint8Array | undefined)[] = [];
  /** By queue. */
  readonly counts = new Map<string, CountChange>();
  /** The keys of places and rosters among the changes, which the low-water marks must know of. */
  readonly places: string[] = [];
  /** The files of payloads whose jobs it removes. */
  readonly leftFiles: PayloadFile[] = [];
  readonly #claims = new Map<number, string[]>();
  readonly #ended: Ended[] = [];
  readonly #onClose: (() => void) | undefined;
  #onWritten: (() => void)[] | undefined;
  #sync = false;
  #isUrgent = false;
  #isClosed = false;
  #generation: number | undefined;

  /** @param onClose Called once, when it is about to be written: the last moment to add something. */
  constructor(onClose?: () => void) {
    this.#onClose = onClose;
  }

  /** Whether it must have reached the disk, and not just the operating system, to count as committed. */
  get sync(): boolean {
    return this.#sync;
  }

  /** Somebody waits for it to begin with work: it should not wait for the disk because of others. */
  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** The journal has taken it: what is to change now needs another one. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What it was decided on: what the journal held then. Absent where that does not matter. */
  get generation(): number | undefined {
    return this.#generation;
  }

  /**
   * Where what it changes follows from what was read: it is refused once the journal has been opened again since, for
   * then something else may be there.
   * @param generation `Journal.generation` before the reading.
   */
  readIn(generation: number): this {
    this.#generation = generation;
    return this;
  }

  /** Makes the commit last through a power cut. */
  withSync(): this {
    this.#sync = true;
    return this;
  }

  /** Lets it go before those that must reach the disk. It must depend on nothing that is not committed. */
  asUrgent(): this {
    this.#isUrgent = true;
    return this;
  }

  /**
   * A new job, in the status that follows from its spec, or claimed at once.
   * @param place The key of its own that it has in this status.
   * @param record The spec, encoded.
   */
  enqueue(
    spec: JobSpec,
    status: JobStatus,
    place = placeOf({ spec, status }),
    record = encodeSpec(spec),
  ): this {
    this.#putRecord(specKey(spec.id), record);
    this.#place(spec.id, place);
    if (spec.flow !== undefined) this.#member(spec, status);
    if (spec.deadlineAt !== undefined) this.#place(spec.id, deadlineKeyOf({ spec, status }));
    if (spec.uniqueKey !== undefined) this.#keepKey(spec, undefined, status);
    if (status.state === 'running') this.#claim(spec, status);
    this.#count(spec.queue, status.state, 1);
    if (spec.durability === 'fsync') this.withSync();
    return this;
  }

  /** A job that another journal had: it waits, or has ended, as it did there, and holds its key where it can. */
  restore(spec: JobSpec, status: JobStatus): this {
    this.#putRecord(specKey(spec.id), encodeSpec(spec));
    this.#putRecord(statusKey(spec.id), encodeStatus(status));
    this.#place(spec.id, placeOf({ spec, status }));
    this.#waitAgain({ spec, status });
    this.#place(spec.id, deadlineKeyOf({ spec, status }));
    if (spec.uniqueKey !== undefined) this.#keepKey(spec, undefined, status);
    if (isEnd(status.state)) this.#end(spec, status.state, status);
    if (isSuspect(status)) this.#suspect(spec.id, true);
    this.#count(spec.queue, status.state, 1);
    return this;
  }

  /** A job that waits for others, as many as are given: what {@link enqueue} or {@link restore} does not know of it. */
  waitFor({ id, sequence }: JobSpec, parents: readonly string[]): this {
    for (const parent of parents) {
      const key = childKey(parent, sequence);
      this.#put(key, sealText(key, id));
    }
    return this.keepParentCount(sequence, parents.length);
  }

  /** For how many jobs it still waits. @param sequence The job's own. */
  keepParentCount(sequence: number, count: number): this {
    const key = parentCountKey(sequence);
    this.#put(key, sealText(key, String(count)));
    return this;
  }

  /** The children of a job are to be told that it has ended, or is gone. */
  tellChildren({ id, sequence }: Pick<JobSpec, 'id' | 'sequence'>, { state, retries = 0 }: JobStatus): this {
    const key = newsKey(id, sequence, retries);
    const news = { id, end: { sequence, retries, isCompleted: state === 'completed' } };
    this.#put(key, sealText(key, newsText(news)));
    this.places.push(key);
    return this;
  }

  /** The children of a job are to look what has become of it. @param sequence Where that sorts. */
  askToLook(id: string, sequence: number): this {
    const key = newsKey(id, sequence);
    this.#put(key, sealText(key, newsText({ id })));
    this.places.push(key);
    return this;
  }

  /**
   * A job's next status. A claim puts the job on the claim's roster and leaves its stored status alone: who is on a
   * roster, and has no status of that claim, is an orphan when the journal opens.
   * @param left The key of its own that it had until now.
   */
  move(spec: JobSpec, from: JobStatus, to: JobStatus, left = placeOf({ spec, status: from })): this {
    if (from.state !== to.state || from.runAt !== to.runAt) {
      if (left !== undefined) this.forget(left);
      this.#place(spec.id, placeOf({ spec, status: to }));
    }
    if (to.state === 'running' && from.state !== 'running') this.#claim(spec, to);
    else this.#putRecord(statusKey(spec.id), encodeStatus(to));
    if (from.hasCheckpoint && !to.hasCheckpoint) this.forget(checkpointKey(spec.id));
    if (from.suspicions !== to.suspicions) this.#suspect(spec.id, isSuspect(to), isSuspect(from));
    if (spec.uniqueKey !== undefined) this.#keepKey(spec, from, to);
    if (from.state === to.state) return this;
    if (from.state === 'waiting') this.forget(parentCountKey(spec.sequence));
    if (to.state === 'waiting') this.#waitAgain({ spec, status: to });
    if (spec.flow !== undefined && isEnd(from.state) !== isEnd(to.state)) this.#member(spec, to);
    if (spec.deadlineAt !== undefined) this.#moveDeadline(spec, from, to);
    if (isEnd(to.state)) this.#end(spec, to.state, to);
    this.#count(spec.queue, from.state, -1);
    this.#count(spec.queue, to.state, 1);
    return this;
  }

  /** All jobs of the claim have left it, those of this transaction included. */
  endClaim(claim: number): this {
    return this.forget(runningKey(claim));
  }

  /** The jobs of the claim that have not left it, where others have. */
  keepClaim(claim: number, ids: readonly string[]): this {
    return this.keepRoster(runningKey(claim), ids);
  }

  /** A schedule as it is from here on: in the batch of the jobs that it enqueues. @param record Encoded. */
  putSchedule(name: string, record: Uint8Array): this {
    const key = scheduleKey(name);
    this.#put(key, sealBytes(key, record));
    return this;
  }

  removeSchedule(name: string): this {
    return this.forget(scheduleKey(name));
  }

  /** A rate limit's window, with the claims that count in it. @param record Encoded. */
  putRate(name: string, record: Uint8Array): this {
    const key = rateKey(name);
    this.#put(key, sealBytes(key, record));
    return this;
  }

  removeRate(name: string): this {
    return this.forget(rateKey(name));
  }

  /** From here on nothing of the queue is started, or of any. @param queue Empty for all of them. */
  pause(queue: string): this {
    const key = pauseKey(queue);
    this.#put(key, sealText(key, ''));
    return this;
  }

  /** @param queue As for {@link pause}. */
  resume(queue: string): this {
    return this.forget(pauseKey(queue));
  }

  /** The job's status says that there is one. @param value Encoded. */
  putCheckpoint(id: string, value: Uint8Array): this {
    const key = checkpointKey(id);
    this.#put(key, sealBytes(key, value));
    return this;
  }

  /** The job's status says that there are some. @param notes Encoded. */
  putNotes(id: string, notes: Uint8Array): this {
    const key = notesKey(id);
    this.#put(key, sealBytes(key, notes));
    return this;
  }

  /** A job that is not to be kept any longer; a roster that it is on is the caller's to change, or may go on naming it. */
  remove({ spec, status }: Job): this {
    if (status.state === 'waiting') this.forget(parentCountKey(spec.sequence));
    if (spec.flow !== undefined && !isEnd(status.state)) this.#leaveFlow(spec, spec.flow, status);
    this.#count(spec.queue, status.state, -1);
    const place = placeOf({ spec, status });
    if (place !== undefined) this.forget(place);
    const deadline = deadlineKeyOf({ spec, status });
    if (deadline !== undefined) this.forget(deadline);
    if (isSuspect(status)) this.#suspect(spec.id, false);
    if (spec.payloadFile) {
      this.leftFiles.push(spec.payloadFile);
      // Or a power cut could bring the job back without its payload.
      this.withSync();
    }
    if (status.hasCheckpoint) this.forget(checkpointKey(spec.id));
    if (status.hasNotes) this.forget(notesKey(spec.id));
    if (spec.uniqueKey !== undefined) this.#keepKey(spec, status, undefined);
    return this.forget(specKey(spec.id)).forget(statusKey(spec.id));
  }

  /** Whether an engine is at work on the journal. @param boot In which start of the machine; absent where none is. */
  setAtWork(boot: string | undefined): this {
    const key = metaKey(AT_WORK);
    if (boot === undefined) return this.forget(key);
    this.#put(key, sealText(key, boot));
    return this;
  }

  /** The ids that stay on a roster. */
  keepRoster(key: string, ids: readonly string[]): this {
    this.#put(key, sealRoster(key, ids));
    this.places.push(key);
    return this;
  }

  /** Removes a key that no longer stands for a job. */
  forget(key: string): this {
    this.keys.push(key);
    this.values.push(undefined);
    return this;
  }

  /** Calls back once it is committed, before anybody hears of that, and as soon as the counters know of it. */
  whenWritten(callback: () => void): this {
    this.#onWritten ??= [];
    this.#onWritten.push(callback);
    return this;
  }

  /** To be called once, when it has been written. */
  written(): void {
    if (this.#onWritten) for (const callback of this.#onWritten) callback();
  }

  /** To be called once, when it is written. */
  close(): void {
    this.#onClose?.();
    this.#isClosed = true;
    for (const [claim, ids] of this.#claims) this.keepClaim(claim, ids);
    for (const { state, name, finishedAt, sequence, retries, ids } of this.#ended)
      this.keepRoster(endedKey(state, name, finishedAt, sequence, retries), ids);
  }

  /** All that a job of a flow waits for, looked at anew. */
  #waitAgain(job: Job): void {
    for (const [key, text] of flowEntries(job)) {
      this.#put(key, sealText(key, text));
      if (key.startsWith(NEWS_SPAN.from)) this.places.push(key);
    }
  }

  /** A job of a flow as it is from here on. */
  #member(spec: JobSpec, status: JobStatus): void {
    // Safe: only of these.
    const flow = spec.flow as string;
    if (isEnd(status.state)) this.#leaveFlow(spec, flow, status);
    else this.#put(memberKey(flow, spec.sequence), sealText(memberKey(flow, spec.sequence), spec.id));
  }

  /** It does not hold up the others any more. */
  #leaveFlow(spec: JobSpec, flow: string, status: JobStatus): void {
    this.forget(memberKey(flow, spec.sequence));
    if (spec.isParent) this.tellChildren(spec, status);
  }

  #claim(spec: JobSpec, { claim }: JobStatus): void {
    if (claim === undefined) throw incomplete(spec);
    const ids = this.#claims.get(claim);
    if (ids) ids.push(spec.id);
    else this.#claims.set(claim, [spec.id]);
  }

  #end(spec: JobSpec, state: EndedState, { finishedAt, retries = 0 }: JobStatus): void {
    if (finishedAt === undefined) throw incomplete(spec);
    const { id, name, sequence } = spec;
    const lane = this.#ended.find(
      (ended) => ended.state === state && ended.name === name && ended.retries === retries,
    );
    if (lane) {
      lane.ids.push(id);
      lane.finishedAt = Math.max(lane.finishedAt, finishedAt);
    } else this.#ended.push({ state, name, retries, finishedAt, sequence, ids: [id] });
  }

  #moveDeadline(spec: JobSpec, from: JobStatus, to: JobStatus): void {
    const [left, next] = [from, to].map((status) => deadlineKeyOf({ spec, status }));
    if (left === next) return;
    if (left !== undefined) this.forget(left);
    this.#place(spec.id, next);
  }

  #suspect(id: string, isNow: boolean, wasBefore = !isNow): void {
    const key = suspectKey(id);
    if (isNow === wasBefore) return;
    if (isNow) this.#put(key, sealText(key, id));
    else this.forget(key);
  }

  #place(id: string, place: string | undefined): void {
    if (place === undefined) return;
    this.#put(place, sealText(place, id));
    this.places.push(place);
  }

  /**
   * A job takes its unique key, or lets go of it. One that has ended may have had to leave the key to another job: so
   * its removal only asks to see whether somebody holds it.
   */
  #keepKey(spec: JobSpec, from: JobStatus | undefined, to: JobStatus | undefined): void {
    const { id, name, sequence, uniqueKey = '', uniqueWhile } = spec;
    const held = from !== undefined && holdsKey({ spec, status: from });
    const holds = to !== undefined && holdsKey({ spec, status: to });
    const key = uniqueKeyOf(name, uniqueKey);
    const until = heldUntil(spec);
    // One that has ended may have left it to another job, and takes it again when it is retried.
    const isRetried = from !== undefined && to !== undefined && isEnd(from.state) && !isEnd(to.state);
    if (holds && (!held || isRetried)) {
      this.#put(key, sealKeyEntry(key, { id, sequence, ...(until !== undefined && { until }) }));
      if (until !== undefined) this.#sweep(key, until, sequence);
    }
    if (holds || !held || until !== undefined) return;
    if (uniqueWhile === 'retained') this.#sweep(key, 0, sequence);
    else this.forget(key);
  }

  #sweep(key: string, at: number, sequence: number): void {
    const request = sweepKey(at, sequence);
    this.#put(request, sealText(request, key));
  }

  #putRecord(key: string, record: Uint8Array): void {
    this.#put(key, seal(key, record));
  }

  #put(key: string, value: Uint8Array): void {
    this.keys.push(key);
    this.values.push(value);
  }

  #count(queue: string, state: JobState, by: 1 | -1): void {
    let change = this.counts.get(queue);
    if (!change) {
      change = JOB_STATES.map(() => 0);
      this.counts.set(queue, change);
    }
    const at = JOB_STATES.indexOf(state);
    change[at] = (change[at] ?? 0) + by;
  }
}
