/** A disk that answers syncs with errors for a while, as strace makes it. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { startCommand } from '../fixtures/child.js';
import { bench, scriptedInline } from '../fixtures/engine.js';

const PROGRAM = fileURLToPath(new URL('../fixtures/programs/enduring.js', import.meta.url));
/** strace counts per thread, and with one in libuv's pool all syncs are its. */
const ONE_THREAD = ['-E', 'UV_THREADPOOL_SIZE=1'];
const hasStrace = spawnSync('strace', ['-V']).status === 0;

describe.skipIf(!hasStrace)('syncs that fail for a while', () => {
  test.each(['EIO', 'ENOSPC', 'EDQUOT'])(
    '%s: nothing acknowledged is lost, and the engine comes back',
    async (error) => {
      const { directory, options, closing } = await bench();
      const inject = `inject=fdatasync:error=${error}:when=20..24`;
      const args = ['-f', '-qq', '-o', join(directory, 'trace'), '-e', inject, ...ONE_THREAD];
      const program = startCommand(
        'strace',
        [...args, process.execPath, PROGRAM, options.directory],
        directory,
      );
      expect(await program.exit, program.stderr()).toEqual({ code: 0, signal: null });
      const told = (word: string): string[] =>
        program.lines.all
          .filter((line) => line.startsWith(`${word} `))
          .map((line) => line.slice(word.length + 1));
      // One of the syncs may be the witness's, which is told of as well.
      const warned = told('warned').filter((code) => code !== 'MILLRACE_JOURNAL_WITNESS');
      expect(warned[0]).toBe('MILLRACE_JOURNAL_WRITE_FAILED');
      expect(warned.at(-1)).toBe('MILLRACE_JOURNAL_REOPENED');
      expect(told('refused')).toContain('MILLRACE_JOURNAL_WRITE_FAILED');

      const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
      const acknowledged = told('acknowledged');
      expect(acknowledged.length).toBeGreaterThan(20);
      for (const id of acknowledged)
        expect(await mill.job(id)).toMatchObject({ state: 'completed', attempt: 1 });
      // Each end is told once, and nothing is left of what was refused but what ran.
      const completed = told('completed');
      expect(new Set(completed).size).toBe(completed.length);
      expect(await mill.counts()).toMatchObject({ completed: completed.length, available: 0, running: 0 });
    },
  );
});
