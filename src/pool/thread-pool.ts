/**
 * The threads that thread jobs run in (crew.ts), and which of them takes which jobs. A thread counts as free only once it is
 * ready, so a pool that cannot start threads takes no jobs, and burns none.
 *
 * A job has a thread for itself. Two things keep threads from waiting for the next one. Jobs that are known to be tiny
 * share: several go in one message, and a second message waits in the thread while it works on the first. And where a
 * thread is expected to be through in a moment, the next job is sent already; if it is not, that job is taken back.
 */
import type { Clock, Timer } from '../clock.js';
import type { Need, Pool, PoolEvents, PoolView, Ride, Seat, StopReason, Task } from './contract.js';
import { Crew, type CrewSettings } from './crew.js';
import { Pace } from './pace.js';
import type { LoadReport } from './protocol.js';
import type { Thread } from './thread.js';

export interface ThreadPoolSettings extends CrewSettings {
  /** How many tiny jobs a thread is sent in one message at most. */
  readonly batchSize: number;
  /** After how many jobs a thread is replaced; absent where it never is for that. */
  readonly maxJobs?: number;
}

/**
 * What one message to a thread will hold, or holds: the jobs whose seats were reserved in one turn. Any of them may
 * be given back, so it stands for each of its seats.
 */
class Load implements Seat {
  readonly thread: Thread;
  /** Whether it holds only jobs that are known to be tiny. */
  readonly isTiny: boolean;
  /** What its jobs are expected to take together. */
  expectedMs = 0;
  seats = 0;
  /** The thread is expected to be through with it in a moment. */
  isEnding = false;
  /** It takes longer than expected. */
  isStalled = false;
  /** Until then. */
  timer: Timer | undefined;
  /** Of its first job. */
  name: string | undefined;
  readonly #onEmpty: (load: Load) => void;

  constructor(thread: Thread, isTiny: boolean, onEmpty: (load: Load) => void) {
    this.thread = thread;
    this.isTiny = isTiny;
    this.#onEmpty = onEmpty;
  }

  release(): void {
    if (--this.seats === 0) this.#onEmpty(this);
  }
}

/** So long before a thread is expected to be through, the next job is sent: a claim and a message take about that. */
const AHEAD_MS = 3;
/** What the jobs of one message may take together, so that nobody waits for long behind them. */
const MAX_EXPECTED_MS = 5;

export class ThreadPool implements Pool {
  readonly #settings: ThreadPoolSettings;
  readonly #events: PoolEvents;
  readonly #clock: Clock;
  readonly #crew: Crew;
  /** The loads of each thread: reserved, sent or waiting in it. */
  readonly #loads = new Map<Thread, Load[]>();
  /** The load that tiny jobs of this turn still go to. */
  #forming: Load | undefined;
  readonly #pace: Pace;

  constructor(settings: ThreadPoolSettings, events: PoolEvents, clock: Clock, pace = new Pace()) {
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#pace = pace;
    this.#crew = new Crew(
      settings,
      {
        stopping: (task) => events.stopping(task),
        settled: (ends, id) => events.settled(ends, id),
        took: ({ name }, tookMs) => pace.note(name, tookMs),
        stalled: (thread) => this.#stalled(thread),
        distrust: (name) => pace.distrust(name),
        progress: (task, value) => events.progress(task, value),
        log: (task, line) => events.log(task, line),
        request: (task, request) => events.request(task, request),
        warning: (error) => events.warning(error),
        ending: (thread) => this.#leave(thread),
        available: () => events.available(),
      },
      clock,
    );
  }

  /** As {@link Crew.start}. */
  start(): Promise<LoadReport> {
    return this.#crew.start();
  }

  /** As {@link Crew.fill}. */
  fill(): void {
    this.#crew.fill();
  }

  hasRoom(need: Need): boolean {
    const tinyMs = this.#tinyMs(need);
    return this.#fits(need, tinyMs) || this.#freeThread(need, tinyMs !== undefined) !== undefined;
  }

  /** A thread's tasks are settled when it has answered, or has gone. */
  isLingering(): boolean {
    return false;
  }

  reserve(need: Need): Seat {
    const tinyMs = this.#tinyMs(need);
    const load = this.#fits(need, tinyMs) ? this.#forming : this.#newLoad(need, tinyMs !== undefined);
    if (!load) throw new Error(`There is no room for a job of type ${need.name}: hasRoom() says so`);
    load.seats++;
    load.expectedMs += tinyMs ?? 0;
    return load;
  }

  run(rides: readonly Ride[]): void {
    const tasksOf = new Map<Load, Task[]>();
    for (const { seat, task } of rides) {
      // Safe: the seats of this pool are its own.
      const load = seat as Load;
      const tasks = tasksOf.get(load);
      if (tasks) tasks.push(task);
      else tasksOf.set(load, [task]);
    }
    for (const [load, tasks] of tasksOf) {
      if (load.thread.isReady) this.#send(load, tasks);
      // The thread whose room was reserved has died since.
      else this.#events.settled(tasks.map((task) => ({ task, outcome: { kind: 'released' } })));
    }
  }

  stop(task: Task, reason: StopReason): void {
    for (const thread of this.#crew.live) if (thread.stop(task, reason)) return;
  }

  view(): PoolView {
    return this.#crew.view();
  }

  close(): Promise<void> {
    return this.#crew.close();
  }

  /** Whether a job that takes so long still goes into the message of this turn. */
  #fits({ mayShare }: Need, tinyMs: number | undefined): boolean {
    const load = this.#forming;
    if (!load || !mayShare || tinyMs === undefined) return false;
    if (load.seats >= this.#settings.batchSize || load.expectedMs + tinyMs > MAX_EXPECTED_MS) return false;
    return this.#jobsLeft(load.thread) > 0;
  }

  /** How many more jobs the thread may be given: what it has counts until it is through, also what it has run of that. */
  #jobsLeft(thread: Thread): number {
    const { maxJobs } = this.#settings;
    if (maxJobs === undefined) return Infinity;
    if (this.#crew.retiring.has(thread)) return 0;
    const given = this.#loads.get(thread)?.reduce((sum, { seats }) => sum + seats, 0) ?? 0;
    return maxJobs - thread.jobsRun - given;
  }

  #tinyMs({ name, isLimited }: Need): number | undefined {
    return isLimited ? undefined : this.#pace.tinyMs(name);
  }

  /** One without work, or one that will soon be without. */
  #freeThread({ isLimited, mayQueue }: Need, isTiny: boolean): Thread | undefined {
    const canQueue = mayQueue && !isLimited && this.#settings.batchSize > 1;
    // A replacement waits until the thread that it replaces has gone.
    const mayBegin = this.#crew.retiring.size === 0 || this.#busy() < this.#settings.count;
    let second: Thread | undefined;
    for (const thread of this.#crew.live) {
      if (!thread.isReady || this.#jobsLeft(thread) <= 0) continue;
      const [first, next] = this.#loads.get(thread) ?? [];
      if (!first && mayBegin) return thread;
      if (!first) continue;
      const isSoonThrough = first.isEnding || (isTiny && first.isTiny && !first.isStalled);
      if (canQueue && isSoonThrough && !next) second ??= thread;
    }
    return second;
  }

  #busy(): number {
    let busy = 0;
    for (const loads of this.#loads.values()) if (loads.length > 0) busy++;
    return busy;
  }

  #newLoad(need: Need, isTiny: boolean): Load | undefined {
    const thread = this.#freeThread(need, isTiny);
    if (!thread) return undefined;
    const load = new Load(thread, isTiny, (empty) => this.#unload(empty));
    const loads = this.#loads.get(thread);
    if (loads) loads.push(load);
    else this.#loads.set(thread, [load]);
    if (isTiny && need.mayShare) {
      this.#forming = load;
      // What is reserved later is claimed later, and does not hold this one up.
      queueMicrotask(() => {
        if (this.#forming === load) this.#forming = undefined;
      });
    }
    return load;
  }

  #send(load: Load, tasks: readonly Task[]): void {
    load.name = tasks[0]?.name;
    if (this.#loads.get(load.thread)?.[0] === load) this.#expectEnd(load);
    load.thread.run(tasks, () => this.#through(load));
    if (this.#jobsLeft(load.thread) > 0 || this.#crew.retiring.has(load.thread)) return;
    this.#crew.retire(load.thread);
  }

  /** The load's turn in its thread has come. */
  #expectEnd(load: Load): void {
    const expectedMs = load.isTiny || load.name === undefined ? undefined : this.#pace.expectedMs(load.name);
    if (expectedMs === undefined) return;
    load.timer = this.#clock.setTimer(
      () => {
        load.isEnding = true;
        this.#events.available();
      },
      Math.max(0, expectedMs - AHEAD_MS),
    );
  }

  #through(load: Load): void {
    this.#crew.worked();
    this.#unload(load);
    const next = this.#loads.get(load.thread)?.[0];
    if (next) this.#expectEnd(next);
    this.#events.available();
  }

  #unload(load: Load): void {
    load.timer?.cancel();
    const loads = this.#loads.get(load.thread);
    const at = loads?.indexOf(load) ?? -1;
    if (at >= 0) loads?.splice(at, 1);
    if (this.#crew.retiring.has(load.thread) && loads?.length === 0) load.thread.end();
  }

  #stalled(thread: Thread): void {
    const first = this.#loads.get(thread)?.[0];
    if (!first) return;
    first.isEnding = false;
    first.isStalled = true;
  }

  #leave(thread: Thread): void {
    for (const load of this.#loads.get(thread) ?? []) load.timer?.cancel();
    this.#loads.delete(thread);
  }
}
