/** Hands jobs to pools: as many as there is room for, and never more. */
import type { Job } from '../job/record.js';
import type { JobTypeSettings } from '../job-options.js';
import type { Pool } from '../pool/contract.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import type { Backlog } from './backlog.js';
import type { Start } from './attempt.js';
import type { Executor } from './executor.js';
import type { Preparation } from './preparation.js';
import type { Suspects, Turn } from './suspects.js';
import type { LaneInfo } from './type-lane.js';

export interface DispatcherLinks {
  readonly backlog: Backlog;
  readonly executor: Executor;
  readonly preparation: Preparation;
  readonly suspects: Suspects;
  readonly types: ReadonlyMap<string, JobTypeSettings>;
  readonly pools: Readonly<Record<JobTypeSettings['kind'], Pool>>;
  /** Whether somebody is changing the job's state at this moment. */
  readonly isHeld: (id: string) => boolean;
  readonly mayClaim: () => boolean;
  /** Nothing was left to hand out. */
  readonly onPass: () => void;
}

export class Dispatcher {
  readonly #links: DispatcherLinks;
  #isAwake = false;

  constructor(links: DispatcherLinks) {
    this.#links = links;
  }

  /** There may be jobs or room that were not there before. */
  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    // One pass for everything that this turn of the event loop brings.
    queueMicrotask(() => {
      this.#isAwake = false;
      this.#pass();
    });
  }

  /**
   * A thread, or a place on the event loop, for a job that is not in the journal yet, where nothing waits that could
   * come before it: it can be claimed by the write that brings it there.
   */
  startNew(job: Job): Start | undefined {
    const { backlog, suspects, types, pools, mayClaim } = this.#links;
    const { name } = job.spec;
    const type = types.get(name);
    if (!type || !mayClaim() || suspects.turn() !== 'any') return undefined;
    const pool = pools[type.kind];
    // It is claimed with no other, and for a thread that has nothing to do.
    const need = { name, isLimited: this.#isAlone(name, false), mayQueue: false, mayShare: false };
    const choice = pool.hasRoom(need) ? backlog.chooseNew(job) : undefined;
    const isLimited = this.#isAlone(name, choice?.isLimited);
    return choice && { choice, type, pool, seat: pool.reserve({ ...need, isLimited }) };
  }

  #pass(): void {
    const { executor, suspects, onPass } = this.#links;
    executor.releaseGone();
    const turn = suspects.turn();
    const starts = turn === 'none' ? [] : this.#choose(turn);
    if (starts.length > 0) executor.start(starts);
    else if (turn !== 'none' && turn !== 'any') {
      suspects.pass();
      this.wake();
    }
    onPass();
  }

  #choose(turn: Exclude<Turn, 'none'>): Start[] {
    const { backlog, suspects, mayClaim } = this.#links;
    const accepts = (entry: ReadyEntry): boolean =>
      (turn === 'any' || turn.only === entry.id) && this.#accepts(entry);
    // A job that needs a thread for itself gets none while jobs that need less keep all of them going.
    const mayQueue = mayClaim() && !backlog.hasStuck((lane) => this.#isStuck(lane), accepts);
    const hasRoom = (lane: LaneInfo): boolean => this.#hasRoom(lane, mayQueue);
    const starts: Start[] = [];
    const mayStart = (entry: ReadyEntry): boolean => suspects.mayStart(entry, starts.length === 0);
    while (mayClaim()) {
      const choice = backlog.next(hasRoom, accepts, mayStart);
      const type = choice && this.#links.types.get(choice.name);
      if (!choice || !type) break;
      const pool = this.#links.pools[type.kind];
      const { name } = choice;
      const isLimited = this.#isAlone(name, choice.isLimited);
      starts.push({ choice, type, pool, seat: pool.reserve({ name, isLimited, mayQueue, mayShare: true }) });
      if (suspects.isAlone) break;
    }
    return starts;
  }

  #hasRoom(lane: LaneInfo, mayQueue: boolean): boolean {
    const { name } = lane;
    const type = this.#links.types.get(name);
    if (!type) return false;
    const isLimited = this.#isAlone(name, lane.isLimited);
    return this.#links.pools[type.kind].hasRoom({ name, isLimited, mayQueue, mayShare: true });
  }

  /** Whether no other may wait for it in a thread, nor it for others. */
  #isAlone(name: string, isLimited = false): boolean {
    return isLimited || this.#links.preparation.isLate(name);
  }

  /** Only threads are shared; inline jobs have places of their own. */
  #isStuck(lane: LaneInfo): boolean {
    return this.#links.types.get(lane.name)?.kind === 'thread' && !this.#hasRoom(lane, true);
  }

  #accepts({ id, name }: ReadyEntry): boolean {
    const { isHeld, executor, suspects, types, pools } = this.#links;
    const type = types.get(name);
    if (type === undefined || isHeld(id) || executor.has(id) || suspects.isOut(id)) return false;
    return !pools[type.kind].isLingering(id);
  }
}
