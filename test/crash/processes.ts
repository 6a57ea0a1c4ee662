/** The processes of a run: one that is killed, and one that must come to its end. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Fact } from './facts.js';
import type { Random } from './random.js';

/** What a process may take to get to where it is to be killed, or to its end. */
const DEADLINE_MS = 60_000;

/** When a process is killed: so long after it got somewhere. */
export interface Kill {
  readonly after: 'spawn' | 'opening' | 'opened';
  readonly delayMs: number;
}

/** Mostly at work, and often while it opens and recovers, or before that. */
export function drawKill(random: Random): Kill {
  const { after, upToMs } = random.weighted<Pick<Kill, 'after'> & { weight: number; upToMs: number }>([
    { after: 'opened', weight: 60, upToMs: 300 },
    { after: 'opening', weight: 30, upToMs: 80 },
    { after: 'spawn', weight: 10, upToMs: 150 },
  ]);
  return { after, delayMs: random.integer(0, upToMs) };
}

interface Running {
  readonly child: ChildProcess;
  /** Where it got, as it says. */
  readonly phases: ReadonlySet<unknown>;
  /** Resolves once it has gone, with what is wrong about how it ended by itself. */
  readonly exit: Promise<string | undefined>;
  /** Calls back once it has got somewhere. */
  onPhase: () => void;
}

function start(program: 'workload' | 'audit', args: readonly string[]): Running {
  const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const child = fork(file, args, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const phases = new Set<unknown>(['spawn']);
  const running: Running = {
    child,
    phases,
    onPhase: () => {},
    // `close` comes when the output has been read, too.
    exit: once(child, 'close').then(([code, signal]) =>
      code === 0 ? undefined : `the ${program} ended with ${signal ?? code}: ${errors.slice(-2_000)}`,
    ),
  };
  child.on('message', (phase) => {
    phases.add(phase);
    running.onPhase();
  });
  return running;
}

/** Runs the workload until it is killed. @returns how it ended. */
export async function runAndKill(args: readonly string[], { after, delayMs }: Kill): Promise<Fact> {
  const running = start('workload', args);
  const { child, phases } = running;
  let moment: string | undefined;
  const kill = (when: string): void => {
    // One that has ended by itself was not killed.
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) moment ??= when;
  };
  let timer = setTimeout(() => kill('deadline'), DEADLINE_MS);
  running.onPhase = () => {
    if (!phases.has(after)) return;
    running.onPhase = () => {};
    clearTimeout(timer);
    timer = setTimeout(() => kill(`${delayMs} ms after ${after}`), delayMs);
  };
  running.onPhase();
  const problem = await running.exit;
  clearTimeout(timer);
  if (moment === 'deadline') return { kind: 'broke', message: `the workload did not get to ${after}` };
  if (moment === undefined || child.signalCode !== 'SIGKILL')
    return { kind: 'broke', message: problem ?? 'the workload ended by itself' };
  return { kind: 'killed', moment };
}

/** Runs the audit to its end. @returns how it ended. */
export async function runAudit(args: readonly string[]): Promise<Fact> {
  const { child, exit } = start('audit', args);
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const problem = await exit;
  clearTimeout(timer);
  return problem === undefined ? { kind: 'finished' } : { kind: 'broke', message: problem };
}
