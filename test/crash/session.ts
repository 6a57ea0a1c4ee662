/** An engine as the workload's process has it: opened, listened to, closed in the middle, and opened again. */
import type { Durability, MillraceEvents } from '../../src/index.js';
import { openEngine, type Engine, type Name, type Tuning } from './catalogue.js';
import type { Done, Fact, Step } from './facts.js';
import type { Work } from './handler.js';

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
}

export class Session {
  readonly place: Place;
  readonly #tell: (fact: Fact) => void;
  #engine: Engine | undefined;
  #isFirst = true;
  #isClosing = false;
  readonly known: Target[] = [];

  constructor(place: Place, tell: (fact: Fact) => void) {
    this.place = place;
    this.#tell = tell;
  }

  /** The engine that was opened last; where that was closed, it refuses. */
  get engine(): Engine {
    if (!this.#engine) throw new Error('The session has not been opened');
    return this.#engine;
  }

  work(token: string, acts: Work['acts'], ballast?: string): Work {
    return { facts: this.place.facts, token, acts, ...(ballast !== undefined && { ballast }) };
  }

  async open(): Promise<void> {
    const { journal, durability, tuning } = this.place;
    this.#tell({ kind: 'opening' });
    const before = performance.now();
    this.#engine = await openEngine(journal, durability, tuning());
    this.#tell({ kind: 'opened', tookMs: performance.now() - before, isFirst: this.#isFirst });
    this.#isFirst = false;
    listen(this.#engine, this.#tell);
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
