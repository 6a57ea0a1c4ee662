/** An engine as the workload's process has it: opened, listened to, closed in the middle, and opened again. */
import type { Durability, MillraceEvents } from '../../src/index.js';
import { isEnd, JOB_STATES } from '../../src/job/record.js';
import {
  BATCH,
  BOUNDED,
  HALTABLE,
  isHeldUp,
  openEngine,
  type Engine,
  type Haltable,
  type Name,
  type Tuning,
} from './catalogue.js';
import { change, NOT_FOUND } from './change.js';
import type { Changing, Done, Fact, Halting, Step } from './facts.js';
import type { Work } from './handler.js';
import { ballastOf } from './payload.js';
import { tokenOf } from './promises.js';
import type { AskedSchedule } from './rhythm-model.js';
import { DECLARED, scheduleOf, SCHEDULES, type Schedule, type ScheduleName } from './schedules.js';

export interface Place {
  readonly journal: string;
  /** The file of facts. */
  readonly facts: string;
  readonly durability: Durability;
  /** The share of jobs whose payload is heavy. */
  readonly heavy: number;
  /** How the next engine is opened. */
  readonly tuning: () => Tuning;
}

/** A job that the process has heard of. */
export interface Target {
  readonly id: string;
  readonly name: Name;
  /** See {@link isHeldUp}. */
  readonly isHeldUp?: boolean;
  /** A schedule has enqueued it. */
  readonly isRun?: true;
}

export class Session {
  readonly place: Place;
  readonly #tell: (fact: Fact) => void;
  #engine: Engine | undefined;
  #isFirst = true;
  #isClosing = false;
  readonly known: Target[] = [];
  /** Those that failed, or were cancelled. */
  readonly gaveUp: Target[] = [];
  #changes = 0;

  constructor(place: Place, tell: (fact: Fact) => void) {
    this.place = place;
    this.#tell = tell;
  }

  /** The engine that was opened last; where that was closed, it refuses. */
  get engine(): Engine {
    if (!this.#engine) throw new Error('The session has not been opened');
    return this.#engine;
  }

  /** @param weight Of its payload, in characters; absent where that is light. */
  work(token: string, acts: Work['acts'], weight?: number): Work {
    const own = { facts: this.place.facts, token, acts };
    return weight === undefined ? own : { ...own, weight, ballast: ballastOf(token, weight) };
  }

  async open(): Promise<void> {
    const { journal, durability, tuning } = this.place;
    const [as] = SCHEDULES[DECLARED].as;
    // What the code declares is synced in any case.
    await change(this.#tell, this.#changing(DECLARED, 'upsert', as), 'fsync', async () => {
      this.#tell({ kind: 'opening' });
      const before = performance.now();
      const schedules = { [DECLARED]: this.#schedule(DECLARED, as) };
      this.#engine = await openEngine(journal, durability, tuning(), schedules);
      this.#tell({ kind: 'opened', tookMs: performance.now() - before, isFirst: this.#isFirst });
      this.#isFirst = false;
      listen(this.#engine, this.#tell);
      for (const event of ['failed', 'cancelled'] as const) this.#engine.on(event, (job) => this.#note(job));
    });
    for (const queue of BOUNDED) await this.size(queue);
  }

  #note({ id, name, queue }: MillraceEvents['cancelled']): void {
    // All of these are run again together.
    if (name === BATCH) return;
    // Safe: these are all there are.
    this.gaveUp.push({ id, name: name as Name, isHeldUp: isHeldUp(name as Name, queue) });
  }

  /** Tells how many jobs of a queue with a bound have not ended. */
  async size(queue: (typeof BOUNDED)[number]): Promise<void> {
    const counts = await this.engine.counts(queue);
    const size = JOB_STATES.reduce((sum, state) => (isEnd(state) ? sum : sum + counts[state]), 0);
    this.#tell({ kind: 'sized', queue, size });
  }

  /** Asks for something of a schedule. @param as What it is to be like; of an upsert. */
  async change(name: ScheduleName, what: Changing['change'], as?: AskedSchedule): Promise<void> {
    const { schedules } = this.engine;
    const perform = async (): ReturnType<Parameters<typeof change>[3]> => {
      switch (what) {
        case 'upsert':
          return schedules.upsert(name, this.#schedule(name, as ?? SCHEDULES[name].as[0]));
        case 'pause':
          return schedules.pause(name);
        case 'resume':
          return schedules.resume(name);
        case 'remove':
          return (await schedules.remove(name)) ? undefined : NOT_FOUND;
        case 'runNow': {
          const { id } = await schedules.runNow(name);
          this.known.push({ id, name: SCHEDULES[name].job, isRun: true });
          return { jobId: id };
        }
        default:
          return what satisfies never;
      }
    };
    await change(this.#tell, this.#changing(name, what, as), this.place.durability, perform);
  }

  /** Pauses or resumes a queue, or with an empty name all of them. */
  async halt(queue: Haltable, what: Halting['change']): Promise<void> {
    const call = this.#nextCall();
    this.#tell({ kind: 'halting', queue, change: what, call });
    await this.engine[what](queue || undefined);
    this.#tell({ kind: 'halted', call, durability: this.place.durability });
  }

  /** Whatever was paused, by whichever process. */
  async resumeAll(): Promise<void> {
    for (const queue of HALTABLE) await this.halt(queue, 'resume');
  }

  #nextCall(): string {
    return `${process.pid}-${this.#changes++}`;
  }

  #changing(schedule: string, what: Changing['change'], as?: AskedSchedule): Omit<Changing, 'kind'> {
    return { schedule, change: what, call: this.#nextCall(), ...(as && { as }) };
  }

  #schedule(name: ScheduleName, as: AskedSchedule): Schedule {
    const { act } = SCHEDULES[name];
    const made = (scheduledFor: number): Work => this.work(tokenOf(name, scheduledFor), [act]);
    return scheduleOf(name, as, name === DECLARED ? made : this.work(name, [act]));
  }

  async close(timeout: number): Promise<void> {
    this.#tell({ kind: 'closing' });
    await this.engine.close({ timeout });
    this.#tell({ kind: 'closed' });
  }

  /** Closes, and opens again in the same process; does nothing while it is at that already. */
  async reopen(timeout: number): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    await this.close(timeout);
    await this.open();
    this.#isClosing = false;
  }
}

/** Records what the engine tells whoever listens. */
function listen(engine: Engine, tell: (fact: Fact) => void): void {
  const ended = (state: 'failed' | 'cancelled') => (job: { readonly id: string }) =>
    tell({ kind: 'ended', id: job.id, state, by: 'event' });
  engine.on('enqueued', ({ id, name }) => tell({ kind: 'enqueued', id, name }));
  engine.on('started', ({ id, queue }) => tell({ kind: 'began', id, queue }));
  engine.on('completed', (event) => tell(completed(event)));
  engine.on('failed', ended('failed'));
  engine.on('cancelled', ended('cancelled'));
  engine.on('progress', (event) => tell(progressed(event)));
  engine.on('errored', ({ id, attempt }) => tell({ kind: 'errored', id, attempt }));
  engine.on('rescued', ({ id }) => tell({ kind: 'rescued', id }));
  engine.on('warning', ({ code, message }) => tell({ kind: 'warned', code, message }));
}

// Safe: as below.
const progressed = ({ id, attempt, value }: MillraceEvents['progress']): Fact => ({
  kind: 'progressed',
  id,
  by: 'event',
  attempt,
  value: value as Step,
});

function completed({ id, result }: MillraceEvents['completed']): Fact {
  // Safe: all handlers of the workload are handler.ts. Were it not so, the check would find it.
  return { kind: 'ended', id, state: 'completed', by: 'event', result: result as Done };
}
