/**
 * Whether a disk takes what opening a journal writes. LevelDB has to be closed before it can be opened again, and
 * cannot be read in between: so the question is asked first.
 */
import { randomFill } from 'node:crypto';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PROBE_FILE = 'ROOM';
/** Beside the event loop. */
const fill: (bytes: Buffer) => Promise<unknown> = promisify(randomFill);
/** For the manifest and LevelDB's own log of what it does. */
const SPARE_BYTES = 1 << 20;

/**
 * Writes as much as an open can need, syncs it, and takes it away again.
 * @throws what the system says where that fails
 */
export async function assertRoom(directory: string): Promise<void> {
  const file = join(directory, PROBE_FILE);
  try {
    const probe = await open(file, 'w', 0o600);
    try {
      // Random, for some file systems take no room for anything else.
      const bytes = Buffer.allocUnsafe(await bytesToReplay(directory));
      await fill(bytes);
      await probe.writeFile(bytes);
      await probe.datasync();
    } finally {
      await probe.close();
    }
  } finally {
    await rm(file, { force: true });
  }
}

/** An open turns the logs into tables, which take no more room than they do. */
async function bytesToReplay(directory: string): Promise<number> {
  const logs = (await readdir(directory)).filter((file) => file.endsWith('.log'));
  const sizes = await Promise.all(logs.map(async (file) => (await stat(join(directory, file))).size));
  return sizes.reduce((sum, size) => sum + size, SPARE_BYTES);
}
