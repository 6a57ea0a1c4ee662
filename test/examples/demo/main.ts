/**
 * The demo: `npm run demo -- --help`. Reads the options, runs, and answers Ctrl-C.
 *
 * Where to look for what: jobs.ts declares the job types and queues, once.ts is how a run carries on, run.ts the
 * run from end to end.
 */
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MillraceError } from 'millrace';
import { compare } from './compare.js';
import { createDisplay, type Display } from './display.js';
import { formatCount } from './format.js';
import { findImages, type InputFolder } from './images.js';
import { adviceOn, parseOptions, UnusableError, USAGE, type DemoOptions } from './options.js';
import { TARGETS } from './plan.js';
import { reportOf } from './report.js';
import { run } from './run.js';

const EXIT = { done: 0, error: 1, unusable: 2, interrupted: 130 } as const;
const ARGUMENTS = process.argv.slice(2);

process.exitCode = await main();

async function main(): Promise<number> {
  const display = createDisplay();
  const interruption = new AbortController();
  onInterrupt(() => {
    display.warn('Stopping: what runs may finish. Ctrl-C again stops at once, and that is safe too');
    interruption.abort();
  });
  try {
    const options = parseOptions(ARGUMENTS);
    if (options === 'help') {
      display.say(USAGE);
      return EXIT.done;
    }
    return await demo(options, display, interruption.signal);
  } catch (error) {
    display.end();
    if (!interruption.signal.aborted) return explain(error);
    display.warn(`Interrupted. What is done stays done; the same command carries on:\n  ${command()}`);
    return EXIT.interrupted;
  }
}

async function demo(options: DemoOptions, display: Display, signal: AbortSignal): Promise<number> {
  const { output } = options;
  const input = options.input === undefined ? undefined : await readInput(options.input, options);
  await makeFolder(output);
  const advice = adviceOn(options);
  if (advice) display.warn(advice);
  display.say(describe(options, input));
  const runOptions = { ...options, images: input?.images };
  const report = await run(runOptions, display, signal);
  display.say(reportOf(report, output));
  if (options.compare) display.say(`\n${await compare(report, runOptions, display, signal)}`);
  return report.sheet.kind === 'completed' ? EXIT.done : EXIT.error;
}

/** @throws UnusableError */
async function readInput(folder: string, { output }: DemoOptions): Promise<InputFolder> {
  const own = TARGETS.map((target) => resolve(output, target.folder));
  if (!own.includes(folder)) return await findImages(folder);
  throw new UnusableError(`Expected --input to be another folder than ${folder}, which results go to`);
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnusableError(`The folder ${path} for results cannot be made: ${reason}`);
  }
}

function describe({ photographs, threads, input }: DemoOptions, found: InputFolder | undefined): string {
  const images = found
    ? `${formatCount(found.images.length, 'image')} of ${input}`
    : `${formatCount(photographs, 'photograph')} and a damaged one`;
  const ignored = found?.ignored.length ? ` (ignored: ${found.ignored.join(', ')})` : '';
  return `${images}${ignored}, ${TARGETS.length} sizes each, ${formatCount(threads, 'thread')}`;
}

/** The second time nothing is waited for: a job that was running is run again, and nothing else is. */
function onInterrupt(stop: () => void): void {
  let isStopping = false;
  const listener = (): void => {
    if (isStopping) process.exit(EXIT.interrupted);
    isStopping = true;
    stop();
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  // Nobody reads on: what was piped into, such as head, has closed.
  process.stdout.once('error', stop).on('error', () => {});
}

function explain(error: unknown): number {
  if (error instanceof UnusableError) {
    process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `\n${error.hint}\n`}`);
    return EXIT.unusable;
  }
  // Millrace's own messages say what to do; anything else is a bug, and its stack tells where.
  const text = error instanceof MillraceError || !(error instanceof Error) ? String(error) : error.stack;
  process.stderr.write(`${text}\n`);
  return EXIT.error;
}

function command(): string {
  const quoted = ARGUMENTS.map((argument) =>
    /^[\w./=:@-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", String.raw`'\''`)}'`,
  );
  return ['npm run demo', ...(quoted.length > 0 ? ['--', ...quoted] : [])].join(' ');
}
