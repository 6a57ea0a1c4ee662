/** The attempts of this process: each from the moment its job is chosen until its outcome is committed. */
import type { Journal } from '../journal/journal.js';
import { RUNNING_SPAN, runningKey } from '../journal/keys.js';
import type { Task } from '../pool/contract.js';
import type { Attempt } from './attempt.js';
import type { Backlog } from './backlog.js';
import { OpenClaims } from './open-claims.js';

/** How many attempts end before the low-water mark of running jobs is raised. */
const RAISE_MARK_EVERY = 1_000;

export class Attempts {
  readonly #journal: Journal;
  readonly #backlog: Backlog;
  readonly #byId = new Map<string, Attempt>();
  claims = new OpenClaims();
  /** Over for the journal, while their handlers go on: they count in the limits as long as they do. */
  #lingering: Attempt[] = [];
  #onIdle: (() => void)[] = [];
  #removed = 0;

  constructor(journal: Journal, backlog: Backlog) {
    this.#journal = journal;
    this.#backlog = backlog;
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Attempt | undefined {
    return this.#byId.get(id);
  }

  byTask(task: Task): Attempt | undefined {
    const attempt = this.#byId.get(task.id);
    return attempt?.task === task ? attempt : undefined;
  }

  /** Whether it is still going on. */
  includes(attempt: Attempt): boolean {
    return this.#byId.get(attempt.choice.id) === attempt;
  }

  all(): Attempt[] {
    return [...this.#byId.values()];
  }

  add(attempt: Attempt): void {
    this.#byId.set(attempt.choice.id, attempt);
  }

  /** It is over. */
  remove(attempt: Attempt): void {
    const { choice, pool } = attempt;
    this.#byId.delete(choice.id);
    if (pool.isLingering(choice.id)) this.#lingering.push(attempt);
    else this.#backlog.end(choice);
    if (++this.#removed % RAISE_MARK_EVERY === 0) this.#raiseMark();
    if (this.#byId.size === 0) for (const idle of this.#onIdle.splice(0)) idle();
  }

  /** Whether handlers go on whose attempts are over. */
  get isLingering(): boolean {
    return this.#lingering.length > 0;
  }

  /** Gives back what handlers held that have gone since. */
  releaseGone(): void {
    if (this.#lingering.length === 0) return;
    const lingering = this.#lingering;
    this.#lingering = lingering.filter(({ choice, pool }) => pool.isLingering(choice.id));
    for (const attempt of lingering)
      if (!this.#lingering.includes(attempt)) this.#backlog.end(attempt.choice);
  }

  /** Resolves once there is none. */
  whenIdle(): Promise<void> {
    return this.#byId.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve));
  }

  /** Claims are numbered in order: below the lowest that is left there is nothing, and what comes is higher. */
  #raiseMark(): void {
    let lowest = Math.min(this.#journal.nextSequence(), this.claims.lowest);
    // The key of a claim whose last outcome is being written goes with it.
    for (const { job } of this.#byId.values()) lowest = Math.min(lowest, job?.status.claim ?? lowest);
    this.#journal.raiseMark(RUNNING_SPAN.from, runningKey(lowest));
  }
}
