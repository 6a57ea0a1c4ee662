/** An owner that was killed holds nothing, even where nobody has taken notice of its death. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test, vi } from 'vitest';
import { reserveDirectory } from '../../src/journal/owner.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

const OWNER = new URL('../../src/journal/owner.js', import.meta.url).href;
const HOLD = `
  const { reserveDirectory } = await import(${JSON.stringify(OWNER)});
  reserveDirectory(process.argv[1]).announce();
  console.log(process.pid);
  setInterval(() => {}, 1_000_000);
`;

/** A parent that never asks after its children, as the first process of many a container. */
async function startUnderBadParent(directory: string): Promise<number> {
  const script = '"$0" --input-type=module -e "$1" "$2" & exec sleep 600';
  const parent = spawn('sh', ['-c', script, process.execPath, HOLD, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void parent.kill());
  const [pid] = (await once(createInterface(parent.stdout), 'line')) as [string]; // What HOLD prints.
  return Number(pid);
}

const isZombie = (pid: number): boolean => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

test.skipIf(!existsSync('/proc/self/stat'))('a killed owner that its parent has not reaped', async () => {
  const directory = await temporaryDirectory();
  const pid = await startUnderBadParent(directory);
  expect(() => reserveDirectory(directory)).toThrow(
    expect.objectContaining({ code: 'MILLRACE_JOURNAL_LOCKED', pid }),
  );

  process.kill(pid, 'SIGKILL');
  await vi.waitUntil(() => isZombie(pid));

  reserveDirectory(directory).release();
});
