/**
 * The tasks that a thread was sent together: which of them are settled, which should stop, whether one is over
 * its time. Each gets its outcome once, and only when its handler can no longer be running: with its answer, with
 * the exit of the thread, or because it was withheld before its turn came.
 */
import type { Clock, Timer } from '../clock.js';
import type { MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import { lostOutcome, outcomeOf, unbegunOutcome } from './answer.js';
import type { Settled, StopReason, Task } from './contract.js';
import type { Slot } from './slot.js';
import type { Timed } from './wire.js';

export interface ChunkEvents {
  settled(ends: readonly Settled[]): void;
  /** How long a task took: its turn in the thread, its handler's time most of all. */
  took(task: Task, tookMs: number): void;
  /** The task should stop. It is marked in the shared memory, but a handler that awaits does not look there. */
  stopping(task: Task, index: number): void;
  /** The handler that is running takes so long that nothing should wait behind it. */
  stalled(): void;
  /** The thread does not stop, or does not begin: only its end helps. */
  mustEnd(): void;
}

/** A task and what has become of it. */
interface Place {
  readonly task: Task;
  stop?: StopReason;
  /** An error from outside its handler's promise: what it came to, whatever the handler answers. */
  stray?: Uint8Array;
  settled: boolean;
}

/** A thread that begins none of the tasks that it was sent is held up by something that is no task. */
export const START_TIMEOUT_MS = 30_000;
/** Tasks share a thread because each is expected to be over at once; behind one that is not, none should wait. */
const STALL_MS = 10;

export class Chunk {
  readonly #places: readonly Place[];
  readonly #slot: Slot;
  readonly #clock: Clock;
  readonly #events: ChunkEvents;
  #idleSince = 0;
  /** Something waits behind what is running: in this chunk, or the next one. */
  #isHurried = false;
  #watch: Timer | undefined;
  #watchAt = 0;
  #grace: { readonly place: Place; readonly timer: Timer } | undefined;

  /** @param slot Not in use by another chunk. */
  constructor(tasks: readonly Task[], slot: Slot, clock: Clock, events: ChunkEvents) {
    this.#places = tasks.map((task) => ({ task, settled: false }));
    this.#slot = slot;
    this.#clock = clock;
    this.#events = events;
    slot.reset(tasks.length);
  }

  /** It is this chunk's turn: from here on it is watched. */
  begin(): void {
    this.#idleSince = this.#clock.monotonic();
    this.#isHurried ||= this.#places.length > 1;
    this.#watchFor(this.#lookMs);
  }

  /** Something waits behind it: it is looked at more often. */
  hurry(): void {
    this.#isHurried = true;
    this.#watchFor(STALL_MS);
  }

  /** A task that is not settled yet. */
  open(index: number): Task | undefined {
    const place = this.#places[index];
    return place && !place.settled ? place.task : undefined;
  }

  /** Those that are not settled, in the order in which the thread works on them. */
  get tasks(): Task[] {
    return this.#places.filter(({ settled }) => !settled).map(({ task }) => task);
  }

  /** The job types of the tasks that are not settled. */
  openTypes(): Set<string> {
    return new Set(this.#places.filter(({ settled }) => !settled).map(({ task }) => task.name));
  }

  indexOf(task: Task): number {
    return this.#places.findIndex((place) => place.task === task && !place.settled);
  }

  /** Of several reasons the first counts. */
  stop(index: number, reason: StopReason): void {
    const place = this.#places[index];
    if (!place || place.settled || place.stop) return;
    place.stop = reason;
    if (this.#slot.withhold(index)) {
      this.#settle([{ place, outcome: unbegunOutcome(place.task, reason) }]);
      return;
    }
    this.#slot.stop(index, reason);
    this.#events.stopping(place.task, index);
    // One that is not running now is about to begin, or through: the next look tells which.
    if (this.#slot.current() === index) this.#endAfterGrace(index, place);
    else if (this.#clock.monotonic() + place.task.graceMs < this.#watchAt) this.#watchFor(place.task.graceMs);
  }

  /** Takes back the tasks whose turn has not come. @returns whether there were any. */
  withdraw(): boolean {
    const ends: End[] = [];
    for (const [index, place] of this.#places.entries()) {
      if (place.settled || !this.#slot.withhold(index)) continue;
      ends.push({ place, outcome: lostOutcome(place.task, place.stop) });
    }
    this.#settle(ends);
    return ends.length > 0;
  }

  /**
   * @param first The index of the task that the first answer is of.
   * @returns whether these are the last ones: the thread is through with the chunk.
   */
  answered(first: number, answers: readonly Timed[]): boolean {
    const ends: End[] = [];
    let index = first;
    for (const [answer, tookMs] of answers) {
      const place = this.#places[index++];
      if (!place || place.settled) continue;
      this.#events.took(place.task, tookMs);
      if (place.stray) continue;
      ends.push({ place, outcome: outcomeOf(answer, place.task, place.stop) });
    }
    this.#settle(ends);
    return first + answers.length === this.#places.length;
  }

  /** The task's own code threw where no promise catches it. Its handler may go on until the thread has gone. */
  strayed(index: number, error: Uint8Array): void {
    const place = this.#places[index];
    if (place && !place.settled) place.stray ??= error;
  }

  /**
   * The thread has gone.
   * @param fault What ended it, unless the engine did: then nobody can be blamed.
   * @returns whether a task was.
   */
  lost(fault: MillraceError | undefined): boolean {
    const culprit = this.#slot.entered();
    const error = fault && encodeError(fault);
    const isBlamed = culprit !== undefined && this.open(culprit) !== undefined;
    const ends: End[] = [];
    for (const [index, place] of this.#places.entries()) {
      if (place.settled) continue;
      const { task, stop, stray } = place;
      const blame = stray ?? (index === culprit ? error : undefined);
      ends.push({ place, outcome: lostOutcome(task, stop, blame) });
    }
    this.#settle(ends);
    this.dispose();
    return isBlamed;
  }

  dispose(): void {
    this.#watch?.cancel();
    this.#grace?.timer.cancel();
  }

  #settle(ends: readonly End[]): void {
    if (ends.length === 0) return;
    for (const { place } of ends) {
      place.settled = true;
      if (this.#grace?.place !== place) continue;
      this.#grace.timer.cancel();
      this.#grace = undefined;
    }
    this.#events.settled(ends.map(({ place, outcome }) => ({ task: place.task, outcome })));
  }

  get #lookMs(): number {
    return this.#isHurried ? STALL_MS : START_TIMEOUT_MS;
  }

  /** Looks again after `delayMs`, or as soon as a task that begins now could be over its time. */
  #watchFor(delayMs: number): void {
    this.#watch?.cancel();
    let soonest = delayMs;
    for (const { task, settled, stop } of this.#places) {
      // The time of one that was told to stop no longer matters.
      if (!settled && !stop) soonest = Math.min(soonest, task.timeoutMs ?? soonest);
    }
    this.#watchAt = this.#clock.monotonic() + soonest;
    this.#watch = this.#clock.setTimer(() => this.#look(), soonest);
  }

  /** One look into the shared memory instead of a message per task. */
  #look(): void {
    const index = this.#slot.current();
    const place = index === undefined ? undefined : this.#places[index];
    if (index === undefined || !place) {
      if (this.#clock.monotonic() - this.#idleSince >= START_TIMEOUT_MS) this.#events.mustEnd();
      else this.#watchFor(this.#lookMs);
      return;
    }
    this.#idleSince = this.#clock.monotonic();
    const elapsedMs = this.#slot.elapsedMs();
    const leftMs = (place.task.timeoutMs ?? Infinity) - elapsedMs;
    if (place.stop) this.#endAfterGrace(index, place);
    else if (leftMs <= 0) this.stop(index, 'timedOut');
    if (elapsedMs >= STALL_MS && this.#isHurried) {
      this.#isHurried = false;
      this.#events.stalled();
    }
    this.#watchFor(leftMs <= 0 ? this.#lookMs : Math.min(leftMs, this.#lookMs));
  }

  #endAfterGrace(index: number, place: Place): void {
    if (this.#grace?.place === place) return;
    this.#grace?.timer.cancel();
    const timer = this.#clock.setTimer(() => {
      // It may be through, its answer waiting for that of the next task: then it holds nobody up.
      if (this.#slot.current() === index) this.#events.mustEnd();
    }, place.task.graceMs);
    this.#grace = { place, timer };
  }
}

interface End {
  readonly place: Place;
  readonly outcome: Settled['outcome'];
}
