/** A machine: a disk, time, and one process after the other. A history's acts happen to it. */
import { setImmediate as soon } from 'node:timers';
import type { Settings } from '../../src/options.js';
import type { Fact, Recorded } from '../crash/facts.js';
import { SimulatedClock } from './clock.js';
import { SimulatedDisk } from './disk.js';
import { prefixOf, type Files } from './files.js';
import { askFromWithin, type FromWithinAct } from './from-within.js';
import type { Act, Step, Tuning, Until } from './history.js';
import { OPERATIONS, type AskingAct, type Call, type Target } from './operations.js';
import { Process, type Wraps } from './process.js';
import type { Access } from './store.js';

/** What a power cut took, or a disk that erred: what it held of these jobs was not all synced. */
export interface Loss {
  /** The facts that may be undone: from this one on, up to when the disk was opened again; absent until then. */
  readonly from: number;
  to: number | undefined;
  /** The jobs whose durability allows it. */
  readonly ids: ReadonlySet<string>;
}

/** An engine that has nothing to do any more rests after fewer turns of the event loop. */
const TURNS_TO_REST = 2;
/** It never rests, if it has not by then. */
const MAX_TURNS = 20_000;
/** What an act sets off gets as far as it can without the disk in so many turns. */
const TURNS_WITHOUT_DISK = 2;

/** Of the event loop. */
export const turn = (): Promise<void> => new Promise((resolve) => soon(resolve));

export class Machine {
  readonly facts: Recorded[] = [];
  readonly losses: Loss[] = [];
  readonly disk = new SimulatedDisk({
    moment: () => this.facts.length,
    onLoss: (ids, from = this.facts.length) => this.losses.push({ from, to: undefined, ids }),
    onOpen: () => this.#endLosses(),
  });
  /** Of large payloads. */
  readonly files: Files = new Map();
  readonly clock = new SimulatedClock();
  crashes = 0;
  powerCuts = 0;
  failedWrites = 0;
  readonly #tuning: Tuning;
  readonly #settings: (version: number) => Settings;
  readonly #wrap: () => Wraps;
  readonly #known: Target[] = [];
  readonly #patience: AbortController[] = [];
  #process: Process | undefined;
  #processes = 0;
  #tokens = 0;
  /** Of the app's code. */
  #version = 1;

  /** @param settings By the version of the app's code. */
  constructor(tuning: Tuning, settings: (version: number) => Settings, wrap: () => Wraps) {
    this.#tuning = tuning;
    this.#settings = settings;
    this.#wrap = wrap;
  }

  /** What the names of the last process's files begin with. */
  get lastPrefix(): string {
    return prefixOf(this.#processes);
  }

  /** The process that lives. */
  get process(): Process {
    if (!this.#process) throw new Error('No process was started');
    return this.#process;
  }

  tell(fact: Fact): void {
    this.facts.push({ ...fact, at: this.clock.now() });
  }

  /** A process starts, and its engine begins to open. */
  boot(role: 'workload' | 'audit'): void {
    this.clock.dropTimers();
    // A process that cannot open the disk has nothing to tell.
    this.disk.failOpens(0);
    this.tell({ kind: 'spawned', cycle: ++this.#processes, role });
    const process = new Process({
      pid: this.#processes,
      tuning: this.#tuning,
      settings: this.#settings(this.#version),
      version: this.#version,
      openDisk: () => this.disk.open(),
      files: this.files,
      clock: this.clock,
      boot: String(this.powerCuts),
      wraps: this.#wrap(),
      tell: (fact) => this.tell(fact),
    });
    this.#process = process;
    process.open().catch((thrown: unknown) => {
      // A disk that fails may well keep an engine from opening.
      if (this.failedWrites === 0)
        process.tell({ kind: 'broke', message: `open() failed: ${String(thrown)}` });
    });
  }

  /** Somebody sets the clock. */
  setClock(ms: number): void {
    this.clock.set(ms);
    this.tell({ kind: 'clockSet', ms });
  }

  /** Time passes while no process lives. */
  stayDown(ms: number): void {
    this.clock.dropTimers();
    this.clock.advanceTo(this.clock.monotonic() + ms);
  }

  /** The process dies; all that was written survives. */
  kill(): void {
    this.process.die();
    this.disk.repair();
    this.crashes++;
    this.tell({ kind: 'killed', moment: 'killed' });
  }

  /** @param kept See {@link Act}. */
  cutPower(kept: number): void {
    this.process.die();
    this.disk.repair();
    this.powerCuts++;
    const ids = this.disk.unsyncedJobs();
    const all = this.disk.unsynced;
    const survive = kept % (all + 1);
    const from = this.disk.cutPower(survive);
    this.tell({ kind: 'killed', moment: `power cut, ${survive} of ${all} unsynced writes survive` });
    if (from !== undefined) this.losses.push({ from, to: this.facts.length, ids });
  }

  #endLosses(): void {
    for (const loss of this.losses) loss.to ??= this.facts.length;
  }

  async step({ act, until }: Step): Promise<void> {
    await this.#perform(act);
    await this.goOn(until);
  }

  async goOn(until: Until): Promise<void> {
    switch (until) {
      case 'rest':
        return this.#untilRest();
      case 'reads':
        return this.#untilRest('read');
      case 'writes':
        return this.#untilRest('write');
      case 'read':
      case 'write':
        await turns(TURNS_WITHOUT_DISK);
        this.process.store.letThrough(until);
        return turns(TURNS_WITHOUT_DISK);
      case 'disk':
        return turns(TURNS_WITHOUT_DISK);
      default:
        return until satisfies never;
    }
  }

  /** Time passes, and timers fire. */
  async advance(ms: number): Promise<void> {
    const until = this.clock.monotonic() + ms;
    while (this.clock.advanceTo(until)) await turn();
  }

  async #perform(act: Act): Promise<void> {
    switch (act.do) {
      case 'nothing':
        return;
      case 'end':
        this.process.runs.end(act.n, act.how);
        return;
      case 'followUp':
      case 'checkpoint':
        this.#askFromWithin(act);
        return;
      case 'advance':
        return this.advance(act.ms);
      case 'setClock':
        this.setClock(act.ms);
        return;
      case 'failWrite':
        this.failedWrites++;
        this.disk.failNext(act.failure);
        this.disk.failOpens(act.opens);
        return;
      case 'kill':
        this.kill();
        if (act.deploys) this.#version++;
        this.stayDown(act.downMs ?? 0);
        this.boot('workload');
        return;
      case 'cutPower':
        this.cutPower(act.kept);
        this.stayDown(act.downMs ?? 0);
        this.boot('workload');
        return;
      case 'close':
        this.#reopen(act.timeoutMs, act.deploys);
        return;
      default:
        this.ask(act);
    }
  }

  /** Closes, and opens again when that is done. */
  #reopen(timeoutMs: number, deploys = false): void {
    const { process } = this;
    process.close(timeoutMs).then(
      (hasClosed) => {
        if (!hasClosed) return;
        process.die();
        if (deploys) this.#version++;
        this.boot('workload');
      },
      (thrown: unknown) => process.tell({ kind: 'broke', message: `close() failed: ${String(thrown)}` }),
    );
  }

  /** Asks something of the engine, if there is one. */
  ask(act: AskingAct): void {
    const { process } = this;
    const { engine } = process;
    // While it opens there is nobody to ask.
    if (!engine) return;
    const call: Call = {
      engine,
      durability: this.#tuning.durability,
      version: this.#version,
      now: () => this.clock.now(),
      known: this.#known,
      facts: this.facts,
      patience: this.#patience,
      tell: (fact) => process.tell(fact),
      token: () => `job-${++this.#tokens}`,
      ask: (operation, id, perform) => void process.ask(operation, id, perform),
    };
    // Safe: the operation of an act's name takes that act; the type of the table says so, name by name.
    const perform = OPERATIONS[act.do] as (call: Call, act: AskingAct) => void;
    perform(call, act);
  }

  /** A handler asks something of the engine that runs it. */
  #askFromWithin(act: FromWithinAct): void {
    const { runs } = this.process;
    const number = ++this.#tokens;
    void runs.ask(act.n, act.do, (running) => askFromWithin(running, act, number, this.#known));
  }

  /** @returns whether there was anything. */
  #letThrough(access: Access | undefined): boolean {
    const { store } = this.process;
    const { first } = this.#tuning;
    // The rest has to wait until there is nothing more of what goes first.
    if (access === undefined && first !== 'asked') return store.letThrough(first) || store.letThrough();
    let didSomething = false;
    while (store.letThrough(access)) didSomething = true;
    return didSomething;
  }

  /** Whatever can still happen without time, or a handler's end, happens. */
  async #untilRest(access?: Access): Promise<void> {
    let turnsAtRest = 0;
    for (let count = 0; turnsAtRest < TURNS_TO_REST; count++) {
      if (count === MAX_TURNS) return this.process.tell({ kind: 'broke', message: 'the engine never rests' });
      await turn();
      let didSomething = false;
      // Timers without a delay fire soon, and nobody needs to move the clock for them.
      while (this.clock.nextAt !== undefined && this.clock.nextAt <= this.clock.monotonic())
        didSomething = this.clock.advanceTo(this.clock.monotonic());
      if (this.#letThrough(access)) didSomething = true;
      turnsAtRest = didSomething ? 0 : turnsAtRest + 1;
    }
  }
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}
