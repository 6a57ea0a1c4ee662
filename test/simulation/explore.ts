/** Runs histories that fast-check draws until one fails, and finds the smallest that fails as it does. */
import * as fc from 'fast-check';
import { INVARIANTS } from '../crash/invariants.js';
import { anyHistory } from './draw.js';
import type { History } from './history.js';
import type { Wraps } from './process.js';
import { runHistory, type Verdict } from './simulation.js';

export interface Plan {
  readonly histories: number;
  readonly seed: number;
  /** fast-check's way to one history of the seed, where it is to be repeated. */
  readonly path?: string;
  /** What is put around the parts of each engine. */
  readonly wrap?: () => Wraps;
  /** Only a violation of this invariant makes a history fail. Default: one of any. */
  readonly invariant?: string;
  /** Whether the smallest history that fails is looked for. Default: yes. */
  readonly shrinks?: boolean;
}

export interface Summary {
  readonly histories: number;
  readonly steps: number;
  readonly crashes: number;
  readonly powerCuts: number;
  readonly failedWrites: number;
  /** How often the engine acknowledged something: that there is a job, or that it has ended. */
  readonly acknowledged: number;
  /** How many jobs of schedules have begun. */
  readonly runs: number;
  /** How many of each invariant: in the smallest history that fails, for with it the run ends. */
  readonly violations: Readonly<Record<string, number>>;
}

/** A history that breaks a promise. */
export interface Failure {
  readonly history: History;
  readonly verdict: Verdict;
  readonly seed: number;
  readonly path: string;
}

export interface Exploration {
  readonly summary: Summary;
  readonly failure: Failure | undefined;
}

export async function explore({
  histories,
  seed,
  path = '',
  wrap,
  invariant,
  shrinks = true,
}: Plan): Promise<Exploration> {
  const tally = {
    histories: 0,
    steps: 0,
    crashes: 0,
    powerCuts: 0,
    failedWrites: 0,
    acknowledged: 0,
    runs: 0,
  };
  const keepsPromises = async (history: History): Promise<boolean> => {
    const { facts, violations, crashes, powerCuts, failedWrites } = await runHistory(history, wrap);
    tally.histories++;
    tally.steps += history.steps.length;
    tally.crashes += crashes;
    tally.powerCuts += powerCuts;
    tally.failedWrites += failedWrites;
    for (const { kind } of facts) if (kind === 'enqueued' || kind === 'ended') tally.acknowledged++;
    tally.runs += new Set(facts.flatMap((fact) => ('scheduledFor' in fact ? fact.id : []))).size;
    return violations.every((one) => invariant !== undefined && one.invariant !== invariant);
  };
  const { counterexample, counterexamplePath } = await fc.check(fc.asyncProperty(anyHistory, keepsPromises), {
    numRuns: histories,
    seed,
    path,
    endOnFailure: !shrinks,
  });
  const [history] = counterexample ?? [];
  const failure = history && {
    history,
    verdict: await runHistory(history, wrap),
    seed,
    path: counterexamplePath ?? '',
  };
  return { summary: { ...tally, violations: countsOf(failure) }, failure };
}

const countsOf = (failure: Failure | undefined): Record<string, number> =>
  Object.fromEntries(
    INVARIANTS.map(({ name }) => [
      name,
      failure?.verdict.violations.filter(({ invariant }) => invariant === name).length ?? 0,
    ]),
  );
