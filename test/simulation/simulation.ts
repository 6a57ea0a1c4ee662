/** One history from its beginning to the verdict: its steps, an audit, and what is found then. */
import { checkOptions, type Settings } from '../../src/options.js';
import { readContents } from '../crash/contents.js';
import type { Evidence } from '../crash/evidence.js';
import type { Fact, Recorded } from '../crash/facts.js';
import { findViolations, type Violation } from '../crash/invariants.js';
import { jobsOf, maxAttemptsOf, queues, TERMS, TERMS_WITH_FAILURES } from './catalogue.js';
import { SimulatedFiles } from './files.js';
import type { History, Tuning } from './history.js';
import { Machine, turn, type Loss } from './machine.js';
import type { Wraps } from './process.js';
import { declaredSchedules } from './schedules.js';
import { SimulatedStore } from './store.js';

export interface Verdict {
  readonly facts: readonly Recorded[];
  readonly violations: readonly Violation[];
  readonly crashes: number;
  readonly powerCuts: number;
  readonly failedWrites: number;
}

/** An audit takes as long as there are jobs; one that takes longer does not come to its end. */
const MAX_AUDIT_ROUNDS = 500;
/** Longer than an engine waits before it tries to open its journal again. */
const OUTAGE_MS = 5_000;
/** An engine that waits for an instant looks at a clock that can be set this often. */
const LOOK_MS = 60_000;

/** @param wrap What is put around the parts of each process's engine. */
export async function runHistory(
  { tuning, steps, livesOn }: History,
  wrap: () => Wraps = () => ({}),
): Promise<Verdict> {
  const machine = new Machine(tuning, (version) => settingsOf(tuning, version), wrap);
  machine.boot('workload');
  await machine.goOn('rest');
  for (const step of steps) await machine.step(step);
  await audit(machine, livesOn);
  const evidence = await evidenceOf(machine);
  const { facts, crashes, powerCuts, failedWrites } = machine;
  return { facts, violations: findViolations(evidence), crashes, powerCuts, failedWrites };
}

/** @param version Of the app's code. */
export function settingsOf({ durability, selection, declared }: Tuning, version: number): Settings {
  const schedules = declaredSchedules(declared);
  const jobs = jobsOf(version);
  return checkOptions({ directory: 'simulated', jobs, queues, durability, selection, schedules });
}

/** The last process: it lets everything in the journal run to its end, and tells what the engine counts. */
async function audit(machine: Machine, livesOn: boolean): Promise<void> {
  machine.disk.repair();
  if (machine.clock.behindMs > 0) machine.setClock(machine.clock.behindMs);
  if (livesOn) await endOutage(machine);
  if (!livesOn || !machine.process.isUsable) {
    machine.kill();
    machine.boot('audit');
    await machine.goOn('rest');
  }
  const { process } = machine;
  const { engine } = process;
  if (!engine) return process.tell({ kind: 'broke', message: 'the audit did not get to open' });
  for (const n of ['', ...Object.keys(queues)].keys()) machine.ask({ do: 'resumeQueue', n });
  await machine.goOn('rest');
  for (let round = 0; !hasAllEnded(await engine.counts()); round++) {
    if (round === MAX_AUDIT_ROUNDS) break;
    if (!process.runs.end(0, 'return')) await advanceToNext(machine);
    await machine.goOn('rest');
  }
  process.tellUnanswered();
  process.tell({ kind: 'counted', counts: await engine.counts() });
  for (const queue of Object.keys(queues))
    process.tell({ kind: 'counted', queue, counts: await engine.counts(queue) });
  const closing = process.close(0);
  await machine.goOn('rest');
  // Whatever still runs is told to stop, and is given up after its grace.
  for (let round = 0; process.runs.end(0, 'return') && round < MAX_AUDIT_ROUNDS; round++)
    await machine.goOn('rest');
  await advanceToNext(machine);
  await machine.goOn('rest');
  const hasClosed = await Promise.race([closing, Promise.resolve(false)]);
  if (hasClosed) process.tell({ kind: 'finished' });
  else process.tell({ kind: 'broke', message: 'the audit did not get to close' });
}

/** A journal that is sound again is tried once more by itself, and a clock that was set is looked at. */
async function endOutage(machine: Machine): Promise<void> {
  const wasSet = machine.facts.some(({ kind }) => kind === 'clockSet');
  await machine.goOn('rest');
  await machine.advance(wasSet ? LOOK_MS : OUTAGE_MS);
  await machine.goOn('rest');
}

const hasAllEnded = (
  counts: Readonly<Record<'scheduled' | 'available' | 'running' | 'retryable', number>>,
): boolean => counts.scheduled + counts.available + counts.running + counts.retryable === 0;

async function advanceToNext(machine: Machine): Promise<void> {
  const { clock } = machine;
  await machine.advance(Math.max(0, (clock.nextAt ?? clock.monotonic()) - clock.monotonic()));
}

async function evidenceOf(machine: Machine): Promise<Evidence> {
  const store = new SimulatedStore(() => machine.disk.open(), { readsEarly: false, readsBackwards: false });
  const files = new SimulatedFiles({ files: machine.files, prefix: 'audit', access: store.beside });
  const contents = await withDisk(
    store,
    readContents(store, maxAttemptsOf, { files, names: ownFiles(machine) }),
  );
  return {
    facts: withoutLosses(machine.facts, machine.losses),
    contents,
    terms: machine.failedWrites > 0 ? TERMS_WITH_FAILURES : TERMS,
  };
}

/** The last process's large payloads, each of a job: those of earlier ones are swept by the next, and of writes that failed. */
const ownFiles = ({ files, lastPrefix, failedWrites }: Machine): string[] =>
  failedWrites > 0 ? [] : [...files.keys()].filter((name) => name.startsWith(lastPrefix));

/** Lets all that is asked of the store through until the work is done. */
async function withDisk<Value>(store: SimulatedStore, work: Promise<Value>): Promise<Value> {
  const progress = { isDone: false };
  const onDone = (): void => {
    progress.isDone = true;
  };
  work.then(onDone, onDone);
  while (!progress.isDone) {
    while (store.letThrough());
    await turn();
  }
  return work;
}

/** What was told of a job that a power cut may take counts from the cut on. */
function withoutLosses(facts: readonly Recorded[], losses: readonly Loss[]): readonly Recorded[] {
  if (losses.length === 0) return facts;
  return facts.flatMap((fact, at) => {
    const about = losses.filter(
      ({ from, to, ids }) =>
        at < (to ?? Infinity) && (isAbout(fact, ids) || (at >= from && isUnsyncedAnswer(fact))),
    );
    if (about.length === 0) return [fact];
    // That it will count is as uncertain as what was told; and of jobs that came together, those that ran came back.
    if (fact.kind === 'left') return [{ ...fact, isHeard: false }];
    // Nor is it told which handler of a job was its last, if that one began behind what is gone.
    // And a job whose beginning may be gone does not certainly wait.
    const isUncertain = fact.kind === 'asked' || fact.kind === 'followedUp' || fact.kind === 'entered';
    const isGone = isUncertain || about.some(({ from }) => at >= from);
    return isGone ? [] : [fact];
  });
}

/** Whether what a schedule, or a pause, was changed to is as uncertain as if it had not been answered. */
const isUnsyncedAnswer = (fact: Fact): boolean =>
  (fact.kind === 'answered' || fact.kind === 'halted') && fact.durability !== 'fsync';

function isAbout(fact: Fact, ids: ReadonlySet<string>): boolean {
  if (fact.kind === 'asked') return fact.together?.some((id) => ids.has(id)) ?? false;
  if (fact.kind === 'entered') return fact.ids.some((id) => ids.has(id));
  return 'id' in fact && fact.id !== undefined && ids.has(fact.id);
}
