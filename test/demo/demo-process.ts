/** Runs the demo as a user does, as a process of its own, and listens to what it prints. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../examples/demo/main.js', import.meta.url));

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: readonly string[];
  readonly stderr: string;
}

export class DemoProcess {
  readonly lines: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  #onLine: (line: string) => void = () => {};

  constructor(...args: readonly string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    createInterface(child.stdout).on('line', (line) => {
      this.lines.push(line);
      this.#onLine(line);
    });
    // It has gone, and all that it printed has been read.
    this.exited = once(child, 'close').then(() => ({
      code: child.exitCode,
      signal: child.signalCode,
      stdout: this.lines,
      stderr,
    }));
  }

  /** Sends `signal` the moment a line matches for the `count`th time. @throws when the demo ends before. */
  async killAt(signal: NodeJS.Signals, pattern: RegExp, count = 1): Promise<Exit> {
    let seen = 0;
    this.#onLine = (line) => {
      if (pattern.test(line) && ++seen === count) this.#child.kill(signal);
    };
    const exit = await this.exited;
    if (seen >= count) return exit;
    throw new Error(
      `${pattern} came ${seen} times, not ${count}:\n${exit.stdout.join('\n')}\n${exit.stderr}`,
    );
  }
}

export function runDemo(...args: readonly string[]): Promise<Exit> {
  return new DemoProcess(...args).exited;
}

/** What the lines tell of sizes made: `thumbnails/a.jpg`. */
export function madeIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /^Sizes \[.*\] ([^:]+): \d+ × \d+/.exec(line)?.[1] ?? []);
}
