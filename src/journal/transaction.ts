/** The changes that one step of a job, or of several, makes to the journal: all of them or none. */
import type { PayloadFile } from '../job/payload-file.js';
import { encodeSpec, encodeStatus } from '../job/record-format.js';
import { isEnd, isSuspect, type Job, type JobSpec, type JobStatus } from '../job/record.js';
import { ChangeList } from './change-list.js';
import { keepMember, leaveFlow, waitAgain } from './flow-entries.js';
import { keepUniqueKey } from './key-entry.js';
import {
  checkpointKey,
  deadlineKeyOf,
  metaKey,
  notesKey,
  parentCountKey,
  pauseKey,
  placeOf,
  rateKey,
  runningKey,
  scheduleKey,
  specKey,
  statusKey,
  suspectKey,
} from './keys.js';
import { NewRosters } from './new-rosters.js';

/** The name of the note that {@link Transaction.setAtWork} makes. */
export const AT_WORK = 'atWork';

export class Transaction extends ChangeList {
  /** The files of payloads whose jobs it removes. */
  readonly leftFiles: PayloadFile[] = [];
  readonly #rosters = new NewRosters();
  readonly #onClose: (() => void) | undefined;
  #onWritten: (() => void)[] | undefined;
  #sync = false;
  #isUrgent = false;
  #isClosed = false;
  #generation: number | undefined;

  /** @param onClose Called once, when it is about to be written: the last moment to add something. */
  constructor(onClose?: () => void) {
    super();
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
    this.putRecord(specKey(spec.id), record);
    this.#place(spec.id, place);
    if (spec.flow !== undefined) keepMember(this, spec, spec.flow, status);
    if (spec.deadlineAt !== undefined) this.#place(spec.id, deadlineKeyOf({ spec, status }));
    if (spec.uniqueKey !== undefined) keepUniqueKey(this, spec, undefined, status);
    if (status.state === 'running') this.#rosters.claim(spec, status);
    this.count(spec.queue, status.state, 1);
    if (spec.durability === 'fsync') this.withSync();
    return this;
  }

  /** A job that another journal had: it waits, or has ended, as it did there, and holds its key where it can. */
  restore(spec: JobSpec, status: JobStatus): this {
    this.putRecord(specKey(spec.id), encodeSpec(spec));
    this.putRecord(statusKey(spec.id), encodeStatus(status));
    this.#place(spec.id, placeOf({ spec, status }));
    waitAgain(this, { spec, status });
    this.#place(spec.id, deadlineKeyOf({ spec, status }));
    if (spec.uniqueKey !== undefined) keepUniqueKey(this, spec, undefined, status);
    if (isEnd(status.state)) this.#rosters.end(spec, status.state, status);
    if (isSuspect(status)) this.#suspect(spec.id, true);
    this.count(spec.queue, status.state, 1);
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
    if (to.state === 'running' && from.state !== 'running') this.#rosters.claim(spec, to);
    else this.putRecord(statusKey(spec.id), encodeStatus(to));
    if (from.hasCheckpoint && !to.hasCheckpoint) this.forget(checkpointKey(spec.id));
    if (from.suspicions !== to.suspicions) this.#suspect(spec.id, isSuspect(to), isSuspect(from));
    if (spec.uniqueKey !== undefined) keepUniqueKey(this, spec, from, to);
    if (from.state === to.state) return this;
    if (from.state === 'waiting') this.forget(parentCountKey(spec.sequence));
    if (to.state === 'waiting') waitAgain(this, { spec, status: to });
    if (spec.flow !== undefined && isEnd(from.state) !== isEnd(to.state))
      keepMember(this, spec, spec.flow, to);
    if (spec.deadlineAt !== undefined) this.#moveDeadline(spec, from, to);
    if (isEnd(to.state)) this.#rosters.end(spec, to.state, to);
    this.count(spec.queue, from.state, -1);
    this.count(spec.queue, to.state, 1);
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
    return this.putBytes(scheduleKey(name), record);
  }

  removeSchedule(name: string): this {
    return this.forget(scheduleKey(name));
  }

  /** A rate limit's window, with the claims that count in it. @param record Encoded. */
  putRate(name: string, record: Uint8Array): this {
    return this.putBytes(rateKey(name), record);
  }

  removeRate(name: string): this {
    return this.forget(rateKey(name));
  }

  /** From here on nothing of the queue is started, or of any. @param queue Empty for all of them. */
  pause(queue: string): this {
    return this.putText(pauseKey(queue), '');
  }

  /** @param queue As for {@link pause}. */
  resume(queue: string): this {
    return this.forget(pauseKey(queue));
  }

  /** The job's status says that there is one. @param value Encoded. */
  putCheckpoint(id: string, value: Uint8Array): this {
    return this.putBytes(checkpointKey(id), value);
  }

  /** The job's status says that there are some. @param notes Encoded. */
  putNotes(id: string, notes: Uint8Array): this {
    return this.putBytes(notesKey(id), notes);
  }

  /** A job that is not to be kept any longer; a roster that it is on is the caller's to change, or may go on naming it. */
  remove({ spec, status }: Job): this {
    if (status.state === 'waiting') this.forget(parentCountKey(spec.sequence));
    if (spec.flow !== undefined && !isEnd(status.state)) leaveFlow(this, spec, spec.flow, status);
    this.count(spec.queue, status.state, -1);
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
    if (spec.uniqueKey !== undefined) keepUniqueKey(this, spec, status, undefined);
    return this.forget(specKey(spec.id)).forget(statusKey(spec.id));
  }

  /** Whether an engine is at work on the journal. @param boot In which start of the machine; absent where none is. */
  setAtWork(boot: string | undefined): this {
    const key = metaKey(AT_WORK);
    return boot === undefined ? this.forget(key) : this.putText(key, boot);
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
    this.#rosters.addTo(this);
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
    if (isNow) this.putText(key, id);
    else this.forget(key);
  }

  #place(id: string, place: string | undefined): void {
    if (place !== undefined) this.putPlace(place, id);
  }
}
