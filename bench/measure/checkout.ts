/** A commit of this repository, built in a worktree of its own that goes when the run ends. */
import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** @throws Error where there is no such commit. */
export function resolveCommit(name: string): string {
  return git(['rev-parse', '--verify', '--quiet', `${name}^{commit}`]).trim();
}

export class Checkout {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** In `directory`, which is empty. @throws Error where it cannot be built. */
  static make(commit: string, directory: string): Checkout {
    git(['worktree', 'add', '--force', '--detach', directory, commit]);
    const checkout = new Checkout(directory);
    process.once('exit', () => checkout.remove());
    checkout.#install();
    npm(directory, 'run', '--silent', 'build');
    return checkout;
  }

  /** The module that its package exports. */
  get engine(): string {
    const { exports } = JSON.parse(this.#read('package.json')) as { exports: { '.': { default: string } } };
    return pathToFileURL(join(this.#directory, exports['.'].default)).href;
  }

  remove(): void {
    git(['worktree', 'remove', '--force', this.#directory]);
  }

  /** The same packages need no second install. */
  #install(): void {
    const lock = 'package-lock.json';
    if (this.#read(lock) === readFileSync(join(ROOT, lock), 'utf8')) {
      symlinkSync(join(ROOT, 'node_modules'), join(this.#directory, 'node_modules'), 'junction');
    } else {
      npm(this.#directory, 'ci', '--no-audit', '--no-fund');
    }
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), 'utf8');
  }
}

const git = (args: readonly string[]): string =>
  execFileSync('git', [...args], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** To standard error: standard output is for figures. */
function npm(directory: string, ...args: readonly string[]): void {
  execFileSync('npm', [...args], {
    cwd: directory,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
}
