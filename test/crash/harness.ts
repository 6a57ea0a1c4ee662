/** One run: processes that are killed on the same journal, one after the other, an audit, and what is found then. */
import { join } from 'node:path';
import type { Durability } from '../../src/index.js';
import { maxAttemptsOf, TERMS } from './catalogue.js';
import { readJournal } from './contents.js';
import { factsOf, type Evidence } from './evidence.js';
import { readFacts, tell, type Recorded } from './facts.js';
import { findViolations, INVARIANTS, type Violation } from './invariants.js';
import { drawKill, runAndKill, runAudit } from './processes.js';
import { Random } from './random.js';
import { countReruns } from './runs.js';

/** Shares of jobs with a heavy payload, of which most processes have none. */
const HEAVY = [0, 0, 0, 0.2] as const;

const AUDIT_MS = 60_000;
const AUDIT_MS_PER_CYCLE = 1_000;

export interface Plan {
  readonly cycles: number;
  readonly seed: number;
  readonly durability: Durability;
  /** Empty, and left as it is in the end. */
  readonly directory: string;
}

export interface Summary {
  readonly cycles: number;
  /** How often the engine acknowledged something: that there is a job, or that it has ended. */
  readonly acknowledged: number;
  /** How many of each invariant. */
  readonly violations: Readonly<Record<string, number>>;
  /** How many jobs were there and are no longer kept. */
  readonly removed: number;
  /** How many jobs schedules have enqueued. */
  readonly runs: number;
  readonly rerunAttempts: number;
  /** How long open() took after a kill. */
  readonly recoveryMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

export interface Run {
  readonly facts: readonly Recorded[];
  readonly violations: readonly Violation[];
  readonly summary: Summary;
}

export async function runCycles({ cycles, seed, durability, directory }: Plan): Promise<Run> {
  const journal = join(directory, 'journal');
  const file = join(directory, 'facts');
  const random = new Random(seed);
  for (let cycle = 1; cycle <= cycles; cycle++) {
    tell(file, { kind: 'spawned', cycle, role: 'workload' });
    const heavy = random.pick(HEAVY);
    const args = [journal, file, durability, String(seed), String(cycle), String(heavy)];
    tell(file, await runAndKill(args, drawKill(random)));
  }
  tell(file, { kind: 'spawned', cycle: cycles + 1, role: 'audit' });
  // Each process can leave some jobs that take their time.
  tell(file, await runAudit([journal, file, durability], {}, AUDIT_MS + cycles * AUDIT_MS_PER_CYCLE));

  const facts = readFacts(file);
  const contents = await readJournal(journal, maxAttemptsOf);
  const evidence = { facts, contents, terms: TERMS };
  const violations = findViolations(evidence);
  return { facts, violations, summary: summarize(cycles, evidence, violations) };
}

function summarize(cycles: number, { facts, contents }: Evidence, violations: readonly Violation[]): Summary {
  const acknowledged = [...new Set(factsOf(facts, 'enqueued').map(({ id }) => id))];
  const counts = Object.fromEntries(
    INVARIANTS.map(({ name }) => [name, violations.filter(({ invariant }) => invariant === name).length]),
  );
  return {
    cycles,
    acknowledged: facts.filter(({ kind }) => kind === 'enqueued' || kind === 'ended').length,
    violations: counts,
    removed: acknowledged.filter((id) => !contents.jobs.has(id)).length,
    runs: [...contents.jobs.values()].filter(({ run }) => run).length,
    rerunAttempts: countReruns(facts),
    recoveryMs: quantiles(recoveries(facts)),
  };
}

/** The first process of all has nothing to recover, and an engine that was closed has not either. */
function recoveries(facts: readonly Recorded[]): number[] {
  const firstKill = facts.findIndex(({ kind }) => kind === 'killed');
  return facts
    .slice(firstKill + 1)
    .flatMap((fact) => (fact.kind === 'opened' && fact.isFirst ? [fact.tookMs] : []));
}

function quantiles(values: readonly number[]): Summary['recoveryMs'] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

const round = (ms: number): number => Math.round(ms * 10) / 10;
