/**
 * Gets the suite ready and starts it: installs its packages where they are missing or the lock has changed,
 * builds the engine and the suite, then runs one of its programs. Plain JavaScript, for nothing is built yet.
 *
 *   node bench/start.mjs PROGRAM [argument…]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('.', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** To standard error: standard output is for figures. */
function npm(directory, ...args) {
  const { status, error } = spawnSync('npm', args, {
    cwd: directory,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** The mark is written after an install with its scripts: one without them has not compiled what must be. */
function install() {
  const mark = join(BENCH, 'node_modules', '.installed-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(BENCH, 'package-lock.json')))
    .digest('hex');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return;
  npm(BENCH, 'ci', '--no-audit', '--no-fund');
  writeFileSync(mark, lock);
}

const [program = 'main', ...args] = process.argv.slice(2);
if (!existsSync(join(ROOT, 'node_modules'))) npm(ROOT, 'ci', '--no-audit', '--no-fund');
install();
npm(ROOT, 'run', '--silent', 'build');
npm(BENCH, 'run', '--silent', 'build');

const child = spawn(process.execPath, [join(BENCH, 'dist', `${program}.js`), ...args], { stdio: 'inherit' });
// The child gets the terminal's Ctrl-C itself, and cleans up; this process only waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.once('exit', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
