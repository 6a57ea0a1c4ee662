/**
 * A pool of threads whose handlers end when a history says so. As with real ones, a second job may wait in a thread, a
 * task that was told to stop is ended after its grace, and it is settled only when its thread has gone.
 */
import type { Clock, Timer } from '../../src/clock.js';
import { encode } from '../../src/job/codec.js';
import { encodeError } from '../../src/job/error-data.js';
import { errorAnswer, lostOutcome, outcomeOf, type Answer } from '../../src/pool/answer.js';
import {
  attemptOver,
  isDecidedBy,
  stopError,
  type JobRequest,
  type Need,
  type Pool,
  type PoolEvents,
  type PoolView,
  type Ride,
  type Seat,
  type StopReason,
  type Task,
} from '../../src/pool/contract.js';
import { jobContext } from '../../src/pool/job-context.js';
import { workOf, type Running, type Runs, type Verdict } from './runs.js';

/** Room in a thread: for the job that runs, or for the one behind it. */
interface Place extends Seat {
  readonly thread: Thread;
  readonly isLimited: boolean;
  task?: Task;
  isRunning: boolean;
  stop?: StopReason;
  timer?: Timer | undefined;
  /** Its thread was ended, and is still in native code. */
  isEnding: boolean;
}

interface Thread {
  number: number;
  readonly places: Place[];
}

const PER_THREAD = 2;
/** Handlers look at what their pool says of them. */
const NEVER = new AbortController().signal;

export class SimulatedThreads implements Pool {
  readonly #threads: readonly Thread[];
  readonly #events: PoolEvents;
  readonly #clock: Clock;
  readonly #runs: Runs;
  readonly #payloadOf: (task: Task) => Uint8Array;

  constructor(
    count: number,
    events: PoolEvents,
    clock: Clock,
    runs: Runs,
    payloadOf: (task: Task) => Uint8Array,
  ) {
    this.#payloadOf = payloadOf;
    this.#threads = Array.from({ length: count }, () => ({ number: runs.addThread(), places: [] }));
    this.#events = events;
    this.#clock = clock;
    this.#runs = runs;
  }

  hasRoom(need: Need): boolean {
    return this.#threadFor(need) !== undefined;
  }

  isLingering(): boolean {
    return false;
  }

  reserve(need: Need): Seat {
    const thread = this.#threadFor(need);
    if (!thread) throw new Error(`There is no room for a job of type ${need.name}: hasRoom() says so`);
    const place: Place = {
      thread,
      isLimited: need.isLimited,
      isRunning: false,
      isEnding: false,
      release: () => {
        remove(place);
        this.#next(thread);
      },
    };
    thread.places.push(place);
    return place;
  }

  run(rides: readonly Ride[]): void {
    for (const { seat, task } of rides) {
      // Safe: the seats are those that reserve() gave.
      const place = seat as Place;
      place.task = task;
      if (place.thread.places.some(({ isEnding }) => isEnding)) this.#settle(place, task, ['stopped']);
      else this.#next(place.thread);
    }
  }

  stop(task: Task, reason: StopReason): void {
    const place = this.#placeOf(task);
    if (!place || place.stop) return;
    place.stop = reason;
    if (!place.isRunning) {
      this.#settle(place, task, ['stopped']);
      return;
    }
    place.timer?.cancel();
    place.timer = this.#clock.setTimer(() => this.#terminate(place), task.graceMs);
    this.#events.stopping(task);
  }

  view(): PoolView {
    const threads = this.#threads.map(({ places }) => ({
      state: places.some(({ isEnding }) => isEnding) ? ('ending' as const) : ('ready' as const),
      tasks: places.flatMap(({ task }) => task ?? []),
    }));
    return { threads };
  }

  /** Nothing runs by then: the engine has settled all. */
  async close(): Promise<void> {}

  #threadFor({ isLimited, mayQueue }: Need): Thread | undefined {
    const free = this.#threads.find(({ places }) => places.length === 0);
    if (free || isLimited || !mayQueue) return free;
    return this.#threads.find(
      ({ places }) =>
        places.length < PER_THREAD && !places.some((place) => place.isLimited || place.isEnding),
    );
  }

  #placeOf(task: Task): Place | undefined {
    return this.#threads.flatMap(({ places }) => places).find((place) => place.task === task);
  }

  /** The thread goes on with what waits in it. */
  #next(thread: Thread): void {
    const place = thread.places.find(({ task }) => task);
    if (!place?.task || thread.places.some(({ isRunning }) => isRunning)) return;
    const { task } = place;
    place.isRunning = true;
    if (task.timeoutMs !== undefined)
      place.timer = this.#clock.setTimer(() => this.stop(task, 'timedOut'), task.timeoutMs);
    const context = jobContext(task, {
      signal: NEVER,
      progress: (value) => this.#events.progress(task, value),
      log: (line) => this.#events.log(task, line),
      request: (request) => this.#request(place, task, request),
      // What a history asks for it awaits.
      hand: (promise) => promise,
    });
    const running: Running = {
      ...task,
      isStopped: () => place.stop !== undefined,
      resumeFrom: context.resumeFrom,
      enqueue: (...given) => context.enqueue(...given),
      checkpoint: (value) => context.checkpoint(value),
    };
    this.#runs.start(running, workOf(this.#payloadOf(task)), thread.number, (verdict) =>
      this.#ended(place, task, verdict),
    );
  }

  /** Whoever was told to stop gets no reply, but for one whose engine closes. */
  async #request(place: Place, task: Task, request: JobRequest): Promise<unknown> {
    const stopped = (): Error | undefined =>
      place.stop && isDecidedBy(place.stop) ? stopError(place.stop, task) : undefined;
    if (place.task !== task || !place.isRunning) throw attemptOver(task);
    const before = stopped();
    if (before) throw before;
    const reply = await this.#events.request(task, request);
    const after = stopped();
    if (after) throw after;
    return reply;
  }

  #ended(place: Place, task: Task, verdict: Verdict): void {
    if (!verdict || place.isEnding) this.#exit(place, task);
    else this.#settle(place, task, answerOf(verdict));
  }

  #settle(place: Place, task: Task, answer: Answer): void {
    place.timer?.cancel();
    remove(place);
    this.#events.settled([{ task, outcome: outcomeOf(answer, task, place.stop) }]);
    this.#next(place.thread);
    this.#events.available();
  }

  /** Its grace is over: what waits behind it goes back, and it goes when native code lets it. */
  #terminate(place: Place): void {
    place.isEnding = true;
    this.#releaseBehind(place);
  }

  /** The thread has gone, and another one has taken its place. */
  #exit(place: Place, task: Task): void {
    const { thread } = place;
    this.#releaseBehind(place);
    place.timer?.cancel();
    remove(place);
    this.#runs.removeThread(thread.number);
    thread.number = this.#runs.addThread();
    const error = encodeError(new Error('The thread has ended'));
    this.#events.settled([{ task, outcome: lostOutcome(task, place.stop, error) }]);
    this.#next(thread);
    this.#events.available();
  }

  #releaseBehind(place: Place): void {
    for (const other of place.thread.places.filter((one) => one !== place && one.task)) {
      if (other.task) this.#settle(other, other.task, ['stopped']);
    }
  }
}

function remove(place: Place): void {
  const { places } = place.thread;
  const at = places.indexOf(place);
  if (at >= 0) places.splice(at, 1);
}

const answerOf = (verdict: Exclude<Verdict, undefined>): Answer =>
  'value' in verdict ? ['completed', encode(verdict.value, 'result')] : errorAnswer(verdict.thrown);
