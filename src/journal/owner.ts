/**
 * One owner per journal. LevelDB's own lock is not enough: within a process it goes by the spelling of the path,
 * and reading the file `LOCK` gives it away. So an owner resolves the real path, reserves the directory by device
 * and inode in a registry that all copies of this package in the process share, and leaves a file that names it.
 */
import { mkdir, readFile, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve as resolvePath } from 'node:path';
import { asError, JournalLockedError, MillraceError } from '../errors.js';

const OWNER_FILE = 'OWNER';
const REGISTRY = Symbol.for('millrace.journals');

interface OwnerData {
  readonly pid: number;
  /** When the process started, as its system tells it; absent where it does not. */
  readonly startedAt?: string;
  readonly host: string;
}

export interface Owner {
  /** The directory's real path: the only spelling that LevelDB is given. */
  readonly directory: string;
  /** Leaves the owner file. To be called once LevelDB's lock is held. */
  announce(): Promise<void>;
  /** Who holds LevelDB's lock, as far as the owner file says. */
  holder(): Promise<number | undefined>;
  /** Lets go. To be called after LevelDB is closed. */
  release(): Promise<void>;
}

/**
 * Makes the directory, with mode 0700, where it does not exist.
 * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`
 */
export async function reserveDirectory(path: string): Promise<Owner> {
  const { directory, inode } = await resolve(path);
  const registry = processRegistry();
  if (registry.has(inode)) throw new JournalLockedError(directory, process.pid);
  registry.add(inode);
  const file = join(directory, OWNER_FILE);
  let announced = false;
  try {
    const owner = await readOwner(file);
    if (owner && owner.pid !== process.pid && (await isAlive(owner)))
      throw new JournalLockedError(directory, owner.pid);
  } catch (thrown) {
    registry.delete(inode);
    throw thrown;
  }
  return {
    directory,
    async announce() {
      const startedAt = await processStart(process.pid);
      const data: OwnerData = { pid: process.pid, host: hostname(), ...(startedAt && { startedAt }) };
      // Renamed into place, so that a reader never sees half of it.
      await writeFile(`${file}.${process.pid}`, JSON.stringify(data), { mode: 0o600 });
      await rename(`${file}.${process.pid}`, file);
      announced = true;
    },
    holder: async () => (await readOwner(file))?.pid,
    async release() {
      try {
        // Another owner may have left its own by now, where LevelDB's lock alone held it back.
        if (announced && (await readOwner(file))?.pid === process.pid) await unlink(file);
      } catch (thrown) {
        // A directory that was removed under the engine has nothing left to release.
        if (!isMissing(thrown)) throw thrown;
      } finally {
        registry.delete(inode);
      }
    },
  };
}

async function resolve(path: string): Promise<{ directory: string; inode: string }> {
  try {
    // The mode is for the journal's own directory, not for folders above it.
    await mkdir(dirname(resolvePath(path)), { recursive: true });
    await mkdir(path, { recursive: true, mode: 0o700 });
    const directory = await realpath(path);
    const { dev, ino } = await stat(directory, { bigint: true });
    return { directory, inode: `${dev}:${ino}` };
  } catch (thrown) {
    const cause = asError(thrown);
    const message = `Expected \`directory\` to be a directory that can be made and read, got ${path}: ${cause.message}`;
    throw new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause });
  }
}

/** Shared by all copies of this package in the process, so it hangs on a registered symbol. */
function processRegistry(): Set<string> {
  const holder = globalThis as { [REGISTRY]?: Set<string> };
  holder[REGISTRY] ??= new Set();
  return holder[REGISTRY];
}

/** A file that is damaged or of another make says nothing about an owner: LevelDB's lock decides then. */
async function readOwner(file: string): Promise<OwnerData | undefined> {
  try {
    const data: unknown = JSON.parse(await readFile(file, 'utf8'));
    if (typeof data !== 'object' || data === null || !('pid' in data) || !('host' in data)) return undefined;
    if (typeof data.pid !== 'number' || typeof data.host !== 'string') return undefined;
    const startedAt = 'startedAt' in data && typeof data.startedAt === 'string' ? data.startedAt : undefined;
    return { pid: data.pid, host: data.host, ...(startedAt && { startedAt }) };
  } catch (thrown) {
    if (isMissing(thrown) || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/**
 * Whether the owner certainly still runs: same host, same start time. Where that cannot be told, LevelDB's lock
 * decides, so that a reused process id never keeps an app from starting.
 */
async function isAlive(owner: OwnerData): Promise<boolean> {
  if (owner.host !== hostname() || owner.startedAt === undefined) return false;
  return (await processStart(owner.pid)) === owner.startedAt;
}

/** Linux: clock ticks from boot to the process's start, field 22 of /proc/pid/stat (proc_pid_stat(5)). */
async function processStart(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; fields 3 and on follow it.
    const [state = '', ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // Killed, and not yet reaped by its parent, which in a container may never happen.
    return 'ZX'.includes(state) ? undefined : rest[18];
  } catch {
    return undefined; // No such process, or a system without /proc.
  }
}

function isMissing(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR')
  );
}
