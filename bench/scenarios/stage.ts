/** What a scenario is given to run with: time, places, threads, and entries for the systems. */
import { availableParallelism } from 'node:os';
import { Child } from '../measure/child.js';
import type { Workspace } from '../measure/workspace.js';
import type { Report, RowFacts } from '../report/report.js';
import type { SystemSetup } from '../probes/system.js';
import { SYSTEMS, type SystemFacts, type SystemName } from '../systems/catalogue.js';
import type { HandlerName } from '../systems/contract.js';
import type { Entry } from './field.js';

/** A scenario ends within this; the last seconds are for stopping what it started. */
const SCENARIO_MS = 50_000;
const STOP_MS = 4_000;

export interface Scenario {
  readonly name: string;
  /** In a line: what is measured. */
  readonly what: string;
  run(stage: Stage): Promise<Report>;
}

interface SystemEntryOptions {
  /** The row's name, where it is not the system's. */
  readonly as?: string;
  /** Another engine than the stage's. */
  readonly engine?: string;
  /** The program of `probes/` that drives the system. */
  readonly program?: string;
}

export class Stage {
  /** Of `performance.now()`. */
  readonly deadline = performance.now() + SCENARIO_MS - STOP_MS;
  /** Millrace's own default, and so everybody's. */
  readonly threads = Math.max(1, availableParallelism() - 1);

  readonly workspace: Workspace;
  /** The module of the engine that is measured. */
  readonly engine = import.meta.resolve('millrace');

  constructor(workspace: Workspace) {
    this.workspace = workspace;
  }

  program(name: string): URL {
    return new URL(`../probes/${name}.js`, import.meta.url);
  }

  /** An entry for a program of `probes/` that is no system of the catalogue. */
  entry(facts: RowFacts, program: string, setup: object, env?: NodeJS.ProcessEnv): Entry {
    return { facts, open: () => Child.open(this.program(program), setup, env) };
  }

  systems(
    names: readonly SystemName[],
    work: { handler: HandlerName; payload?: object; consumes?: boolean },
  ): Entry[] {
    return names.map((name) => this.system(name, work));
  }

  system(
    name: SystemName,
    { handler, payload, consumes = true }: { handler: HandlerName; payload?: object; consumes?: boolean },
    { as = name, engine = this.engine, program = 'system' }: SystemEntryOptions = {},
  ): Entry {
    const { module, durability, runsIn, redis }: SystemFacts = SYSTEMS[name];
    const threads = runsIn === 'thread' && consumes ? this.threads : 0;
    return {
      facts: { system: as, durability, runsIn: consumes ? runsIn : 'nowhere', threads },
      open: async () => {
        const setup: SystemSetup = {
          module,
          handler,
          consumes,
          engine,
          threads: this.threads,
          directory: this.workspace.directory(name),
          ...(payload && { payload }),
          ...(redis && { redisPort: await this.workspace.redis(redis) }),
        };
        return Child.open(this.program(program), setup);
      },
    };
  }
}
