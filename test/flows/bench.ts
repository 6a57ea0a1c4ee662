/** Flows on an engine in memory whose process can die at any write, and handlers that do as their payload says. */
import { systemClock } from '../../src/clock.js';
import type { AnyFlow } from '../../src/flow.js';
import { inlineJob, UnrecoverableError, type JobState, type MillraceError } from '../../src/index.js';
import { Journal } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { checkOptions } from '../../src/options.js';
import { InlinePool } from '../../src/pool/inline-pool.js';
import { Announcer } from '../../src/runtime/announcer.js';
import { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { poolEvents } from '../../src/runtime/pool-events.js';
import { KillableStore, type Kill } from '../fixtures/killable-store.js';
import { recordingLogger } from '../fixtures/logger.js';

export type Act = 'return' | 'throw';

export class FlowBench {
  /** The labels of the jobs whose handlers have begun, by each process in turn. */
  readonly begun: string[] = [];
  readonly warnings: MillraceError[] = [];
  readonly #disk = new MemoryDisk();
  #kill: Kill | undefined;
  #store: KillableStore | undefined;
  #engine: EmbeddedEngine | undefined;

  get store(): KillableStore {
    if (!this.#store) throw new Error('No process was started');
    return this.#store;
  }

  get engine(): EmbeddedEngine {
    if (!this.#engine) throw new Error('No process was started');
    return this.#engine;
  }

  /** A process; the one before it has died, or was closed. */
  async start(kill?: Kill): Promise<void> {
    const store = new KillableStore(openMemoryStore(this.#disk), kill);
    this.#store = store;
    this.#kill = kill;
    const announcer = new Announcer(recordingLogger());
    announcer.emitter.on('warning', (warning) => this.warnings.push(warning));
    const handler = ({ act, label }: { act: Act; label: string }): string => {
      this.begun.push(label);
      if (act === 'throw') throw new UnrecoverableError(`${label} was told to throw`);
      return `result of ${label}`;
    };
    const jobs = { work: inlineJob(handler, { concurrency: 4, retention: { completed: 'forever' } }) };
    let engine: EmbeddedEngine | undefined;
    const events = poolEvents(announcer, () => engine);
    const pool = new InlinePool({ work: { handler, concurrency: 4 } }, events, systemClock);
    const opening = (async () => {
      engine = new EmbeddedEngine({
        settings: checkOptions({ directory: 'memory', jobs }),
        journal: await Journal.open(store),
        clock: systemClock,
        announcer,
        pools: { thread: pool, inline: pool },
        nativeTypes: new Set(),
        random: Math.random,
      });
      this.#engine = engine;
      await engine.recover();
      engine.begin();
    })();
    opening.catch(() => {});
    await store.settled();
    await store.quiet();
  }

  /** Asks for a flow, and lets everything come to its rest, or the process die on the way. */
  async run(flow: AnyFlow, id: string): Promise<void> {
    this.engine.enqueueFlow(flow, id).catch(() => {});
    await this.store.quiet();
  }

  /** A process that was to die, and has not, might do so while it closes. */
  async end(): Promise<void> {
    if (!this.#kill) await this.engine.close(0);
  }

  async states(ids: readonly string[]): Promise<(JobState | undefined)[]> {
    const jobs = await Promise.all(ids.map((id) => this.engine.snapshot(id)));
    return jobs.map((job) => job?.state);
  }
}

/** A job of a flow. */
export const item = (
  label: string,
  parents: readonly string[] = [],
  { act = 'return', onParentFailure }: { act?: Act; onParentFailure?: 'fail' | 'cancel' | 'ignore' } = {},
): AnyFlow[string] => ({
  name: 'work',
  payload: { act, label },
  parents,
  ...(onParentFailure && { onParentFailure }),
});

/** What each job of a flow comes to, reckoned from its parents alone. */
export function expectedStates(flow: AnyFlow, fate: (key: string) => Act): Record<string, JobState> {
  const states: Record<string, JobState> = {};
  const stateOf = (key: string): JobState => {
    const known = states[key];
    if (known) return known;
    const { parents = [], onParentFailure = 'fail' } = flow[key] ?? { name: '' };
    const isLeft = parents.some((parent) => stateOf(parent) !== 'completed') && onParentFailure !== 'ignore';
    const own = fate(key) === 'throw' ? 'failed' : 'completed';
    const left = onParentFailure === 'cancel' ? 'cancelled' : 'failed';
    return (states[key] = isLeft ? left : own);
  };
  for (const key of Object.keys(flow)) stateOf(key);
  return states;
}
