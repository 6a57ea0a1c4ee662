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
  /** Takes the owner file away. To be called while LevelDB's lock is held, or the file may be the next owner's. */
  withdraw(): Promise<void>;
  /** Lets go. To be called after LevelDB is closed. */
  release(): void;
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
  try {
    const owner = await readOwner(file);
    if (owner && owner.pid !== process.pid && (await fateOf(owner)) === 'running')
      throw new JournalLockedError(directory, owner.pid);
  } catch (thrown) {
    registry.delete(inode);
    throw thrown instanceof MillraceError ? thrown : openFailed(directory, thrown);
  }
  return {
    directory,
    async announce() {
      const startedAt = await processStart(process.pid);
      const data: OwnerData = { pid: process.pid, host: hostname(), ...(startedAt && { startedAt }) };
      // Renamed into place, so that a reader never sees half of it.
      await writeFile(`${file}.${process.pid}`, JSON.stringify(data), { mode: 0o600 });
      await rename(`${file}.${process.pid}`, file);
    },
    async holder() {
      const owner = await readOwner(file);
      // Whoever has just taken over a dead owner's lock may not have left its own file yet.
      return owner && (await fateOf(owner)) !== 'gone' ? owner.pid : undefined;
    },
    async withdraw() {
      try {
        await unlink(file);
      } catch (thrown) {
        // A directory that was removed under the engine has nothing left to release.
        if (!isMissing(thrown)) throw thrown;
      }
    },
    release: () => void registry.delete(inode),
  };
}

/** A directory that cannot be a journal's, whatever the system's reason is. */
export function openFailed(path: string, thrown: unknown): MillraceError {
  const cause = asError(thrown);
  const message = `Expected \`directory\` to be a directory that can be made, read and written, got ${path}: ${cause.message}`;
  return new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause });
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
    throw openFailed(path, thrown);
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
 * What became of an owner: same host and same start time, and it certainly runs. Where that cannot be told,
 * LevelDB's lock decides, so that a reused process id never keeps an app from starting.
 */
async function fateOf({ pid, host, startedAt }: OwnerData): Promise<'running' | 'gone' | 'unknown'> {
  if (host !== hostname() || startedAt === undefined) return 'unknown';
  return (await processStart(pid)) === startedAt ? 'running' : 'gone';
}

/** Linux: clock ticks from boot to the process's start, field 22 of /proc/pid/stat (proc_pid_stat(5)). */
async function processStart(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; fields 3 and on follow it.
    const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A dead process stays in the list until its parent has asked after it, in a container often for ever.
    return 'ZXx'.includes(state) ? undefined : fields[18];
  } catch {
    return undefined; // No such process, or a system without /proc.
  }
}

function isMissing(thrown: unknown): boolean {
  return (
    thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ENOTDIR')
  );
}
