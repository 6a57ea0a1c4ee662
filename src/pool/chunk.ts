/**
 * The tasks that a thread was sent together: which of them are settled, which should stop, whether one is over
 * its time. Each gets its outcome once, and only when its handler can no longer be running: with its answer, or
 * with the exit of the thread.
 */
import type { Clock, Timer } from '../clock.js';
import type { MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import type { Outcome } from '../job/outcome.js';
import { lostOutcome, outcomeOf, type Answer } from './answer.js';
import type { StopReason, Task } from './contract.js';
import type { Slot } from './slot.js';

export interface ChunkEvents {
  settled(task: Task, outcome: Outcome): void;
  /** The task should stop. It is marked in the shared memory, but a handler that awaits does not look there. */
  stopping(task: Task, index: number): void;
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

export class Chunk {
  readonly #places: readonly Place[];
  readonly #slot: Slot;
  readonly #clock: Clock;
  readonly #events: ChunkEvents;
  #idleSince: number;
  #watch: Timer | undefined;
  #watchAt = 0;
  #grace: { readonly place: Place; readonly timer: Timer } | undefined;

  constructor(tasks: readonly Task[], slot: Slot, clock: Clock, events: ChunkEvents) {
    this.#places = tasks.map((task) => ({ task, settled: false }));
    this.#slot = slot;
    this.#clock = clock;
    this.#events = events;
    this.#idleSince = clock.monotonic();
    slot.reset();
    this.#watchFor(START_TIMEOUT_MS);
  }

  /** A task that is not settled yet. */
  open(index: number): Task | undefined {
    const place = this.#places[index];
    return place && !place.settled ? place.task : undefined;
  }

  indexOf(task: Task): number {
    return this.#places.findIndex((place) => place.task === task && !place.settled);
  }

  /** Of several reasons the first counts. */
  stop(index: number, reason: StopReason): void {
    const place = this.#places[index];
    if (!place || place.settled || place.stop) return;
    place.stop = reason;
    this.#slot.stop(index, reason);
    this.#events.stopping(place.task, index);
    // One that has not begun is not what holds the thread up; its turn comes, and then it is not run.
    if (this.#slot.current() === index) this.#endAfterGrace(index, place);
    else if (this.#clock.monotonic() + place.task.graceMs < this.#watchAt) this.#watchFor(place.task.graceMs);
  }

  answered(index: number, answer: Answer): void {
    const place = this.#places[index];
    if (!place || place.settled || place.stray) return;
    this.#settle(place, outcomeOf(answer, place.task, place.stop));
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
    for (const [index, place] of this.#places.entries()) {
      if (place.settled) continue;
      const { task, stop, stray } = place;
      this.#settle(place, lostOutcome(task, stop, stray ?? (index === culprit ? error : undefined)));
    }
    this.dispose();
    return isBlamed;
  }

  dispose(): void {
    this.#watch?.cancel();
    this.#grace?.timer.cancel();
  }

  #settle(place: Place, outcome: Outcome): void {
    place.settled = true;
    if (this.#grace?.place === place) {
      this.#grace.timer.cancel();
      this.#grace = undefined;
    }
    this.#events.settled(place.task, outcome);
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
      else this.#watchFor(START_TIMEOUT_MS);
      return;
    }
    this.#idleSince = this.#clock.monotonic();
    const leftMs = (place.task.timeoutMs ?? Infinity) - this.#slot.elapsedMs();
    if (place.stop) this.#endAfterGrace(index, place);
    else if (leftMs <= 0) this.stop(index, 'timedOut');
    this.#watchFor(leftMs <= 0 ? START_TIMEOUT_MS : Math.min(leftMs, START_TIMEOUT_MS));
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
