/** What the demo was asked to do. What cannot be done is refused here, before anything is opened or written. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** The folder of images. Absent: the demo makes photographs. */
  readonly input?: string;
  readonly output: string;
  readonly threads: number;
  /** How many photographs to make where there is no input. */
  readonly photographs: number;
  readonly compare: boolean;
}

/** What the user gave cannot be used; nothing was done. */
export class UnusableError extends Error {
  /** What to look at next. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

const DEFAULT_OUTPUT = 'demo-output';
const DEFAULT_PHOTOGRAPHS = 24;
const MOST_THREADS = 64;
const MOST_PHOTOGRAPHS = 1_000;

/** libuv reads this variable once, before any code of ours runs. */
const POOL_SIZE = Number(process.env['UV_THREADPOOL_SIZE']) || 4;
/** sharp works on libuv's pool, of which the engine keeps a thread free for files and the journal. */
export const MOST_AT_ONCE = Math.max(1, POOL_SIZE - 1);
const DEFAULT_THREADS = Math.min(MOST_AT_ONCE, Math.max(1, availableParallelism() - 1));

export const USAGE = `
Usage: npm run demo -- [options]

Makes three sizes of every image (a JPEG, a WebP and a square thumbnail) and a PDF contact sheet, as durable
jobs in worker threads. Interrupted by Ctrl-C or kill -9, the same command carries on where it was.

  --input DIR      the images; default: the demo makes ${DEFAULT_PHOTOGRAPHS} photographs of 12 megapixels, and a damaged one
  --output DIR     where results and the journal go; default ./${DEFAULT_OUTPUT}
  --threads N      worker threads; default here ${DEFAULT_THREADS}: one less than the cores, at most ${MOST_AT_ONCE}
  --photographs N  how many to make where there is no input; default ${DEFAULT_PHOTOGRAPHS}
  --compare        does the same work without Millrace, in the main thread, and prints both
  --help           prints this

Exit codes: 0 done (what an image failed for is reported), 1 an error, 2 unusable options or input, 130 interrupted.
`.trim();

/** @returns `'help'` where that is all that was asked for. @throws UnusableError */
export function parseOptions(args: readonly string[]): DemoOptions | 'help' {
  const { help, input, output, threads, photographs, compare } = parse(args);
  if (help) return 'help';
  return {
    output: folder(output ?? DEFAULT_OUTPUT, '--output'),
    threads: threads === undefined ? DEFAULT_THREADS : count(threads, '--threads', MOST_THREADS),
    photographs:
      photographs === undefined ? DEFAULT_PHOTOGRAPHS : count(photographs, '--photographs', MOST_PHOTOGRAPHS),
    compare: compare ?? false,
    ...(input !== undefined && { input: folder(input, '--input') }),
  };
}

/** A word of advice on options that work, but not well. */
export function adviceOn({ threads }: DemoOptions): string | undefined {
  if (threads <= MOST_AT_ONCE) return undefined;
  return (
    `--threads ${threads}: at most ${MOST_AT_ONCE} images are worked on at once, as sharp works on libuv's pool of ` +
    `${POOL_SIZE}. Set UV_THREADPOOL_SIZE=${threads + 1} to use all threads`
  );
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        input: { type: 'string' },
        output: { type: 'string' },
        threads: { type: 'string' },
        photographs: { type: 'string' },
        compare: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    // parseArgs explains itself: "Unknown option '--colour'. To specify …".
    const message = error instanceof Error ? error.message : String(error);
    throw new UnusableError(message.split('. ', 1)[0] ?? message, USAGE);
  }
}

function folder(path: string, option: string): string {
  if (path.trim() === '') throw new UnusableError(`Expected ${option} to be a folder, got nothing`, USAGE);
  return resolve(path);
}

function count(text: string, option: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UnusableError(`Expected ${option} to be a whole number from 1 to ${most}, got: ${text}`, USAGE);
}
