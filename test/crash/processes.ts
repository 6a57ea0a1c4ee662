/** The processes of a run: one that is killed, and one that must come to its end. */
import { fork, type ChildProcess, type ForkOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Fact } from './facts.js';
import type { Random } from './random.js';

/** What a process may take to get to where it is to be killed, or to its end. */
const DEADLINE_MS = 60_000;

/** When a process is killed: so long after it told of that many facts of a kind, or after it was spawned. */
export interface Kill {
  readonly after: Fact['kind'];
  readonly count: number;
  readonly delayMs: number;
}

/** Where that does not come to pass, it is killed so much longer after it has opened. */
const PATIENCE_MS = 600;

/** Mostly at work, at any moment or just when it has said something; often while it opens and recovers, or before. */
export function drawKill(random: Random): Kill {
  const { after, upTo, upToMs } = random.weighted<{
    after: Kill['after'];
    upTo: number;
    upToMs: number;
    weight: number;
  }>([
    { after: 'opened', upTo: 1, upToMs: 300, weight: 35 },
    { after: 'opening', upTo: 1, upToMs: 200, weight: 25 },
    { after: 'enqueued', upTo: 60, upToMs: 2, weight: 8 },
    { after: 'ended', upTo: 40, upToMs: 2, weight: 10 },
    { after: 'seen', upTo: 6, upToMs: 5, weight: 10 },
    { after: 'rescued', upTo: 3, upToMs: 15, weight: 6 },
    { after: 'closing', upTo: 1, upToMs: 40, weight: 8 },
    { after: 'spawned', upTo: 1, upToMs: 120, weight: 8 },
  ]);
  return { after, count: random.integer(1, upTo), delayMs: random.integer(0, upToMs) };
}

/** How a process is started where that is not by Node alone. */
export type Launch = Pick<ForkOptions, 'execPath' | 'execArgv' | 'env' | 'cwd'>;

interface Running {
  readonly child: ChildProcess;
  /** Resolves once it has gone, with what is wrong about how it ended by itself. */
  readonly exit: Promise<string | undefined>;
}

function start(program: 'workload' | 'audit', args: readonly string[], launch: Launch): Running {
  const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const child = fork(file, args, { execArgv: [], ...launch, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  return {
    child,
    // `close` comes when the output has been read, too.
    exit: once(child, 'close').then(([code, signal]) =>
      code === 0 ? undefined : `the ${program} ended with ${signal ?? code}: ${errors.slice(-2_000)}`,
    ),
  };
}

/** Calls back once the process has told of that many facts of a kind. */
function onReached(child: ChildProcess, kind: Fact['kind'], count: number, then: () => void): void {
  let left = count;
  const hear = (told: unknown): void => {
    if (told === kind && --left === 0) then();
  };
  child.on('message', hear);
  // That it was spawned, it need not tell.
  hear('spawned');
}

/** Runs the workload until it is killed. @returns how it ended. */
export async function runAndKill(args: readonly string[], plan: Kill, launch: Launch = {}): Promise<Fact> {
  const { child, exit } = start('workload', args, launch);
  let moment: string | undefined;
  const killIn = (ms: number, when: string): NodeJS.Timeout =>
    setTimeout(() => {
      // One that has ended by itself was not killed.
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) moment ??= when;
    }, ms);
  const timers = [killIn(DEADLINE_MS, 'deadline')];
  const { after, count, delayMs } = plan;
  const patienceMs = PATIENCE_MS + delayMs;
  onReached(child, 'opened', 1, () => timers.push(killIn(patienceMs, `${patienceMs} ms after opened`)));
  onReached(child, after, count, () => timers.push(killIn(delayMs, `${delayMs} ms after ${count} ${after}`)));
  const problem = await exit;
  for (const timer of timers) clearTimeout(timer);
  if (moment === 'deadline') return { kind: 'broke', message: 'the workload did not get to open' };
  if (moment === undefined || child.signalCode !== 'SIGKILL')
    return { kind: 'broke', message: problem ?? 'the workload ended by itself' };
  return { kind: 'killed', moment };
}

/** Runs the audit to its end. @returns how it ended. */
export async function runAudit(
  args: readonly string[],
  launch: Launch = {},
  deadlineMs = DEADLINE_MS,
): Promise<Fact> {
  const { child, exit } = start('audit', args, launch);
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const problem = await exit;
  clearTimeout(timer);
  return problem === undefined ? { kind: 'finished' } : { kind: 'broke', message: problem };
}
