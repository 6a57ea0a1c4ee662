/**
 * One owner per journal. LevelDB's own lock is not enough: within a process it goes by the spelling of the path,
 * and reading the file `LOCK` gives it away. So an owner resolves the real path, reserves the directory by device
 * and inode in a registry that all copies of this package in the process share, and leaves a file that names it.
 *
 * Its few small calls are synchronous: each takes microseconds, while open() starts threads meanwhile, and a promise
 * would wait behind that.
 */
import {
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
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
  /** It makes a backup here: until this file has gone, that is not whole. */
  readonly makesBackup?: true;
}

export interface Owner {
  /** The directory's real path: the only spelling that LevelDB is given. */
  readonly directory: string;
  /** Leaves the owner file. To be called once LevelDB's lock is held. */
  announce(): void;
  /**
   * The same before LevelDB is opened in an empty directory, to make a backup there: nobody takes that for whole as
   * long as the file is there.
   * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, where somebody else was faster.
   */
  announceBackup(): void;
  /** Who holds LevelDB's lock, as far as the owner file says. */
  holder(): number | undefined;
  /** Takes the owner file away. To be called while LevelDB's lock is held, or the file may be the next owner's. */
  withdraw(): void;
  /** Lets go. To be called after LevelDB is closed. */
  release(): void;
}

/**
 * Makes the directory, with mode 0700, where it does not exist.
 * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_CORRUPT` (half a
 *   backup)
 */
export function reserveDirectory(path: string): Owner {
  const { directory, inode } = resolve(path);
  const registry = processRegistry();
  if (registry.has(inode)) throw new JournalLockedError(directory, process.pid);
  registry.add(inode);
  const file = join(directory, OWNER_FILE);
  try {
    const owner = readOwner(file);
    if (owner && owner.pid !== process.pid && fateOf(owner) === 'running')
      throw new JournalLockedError(directory, owner.pid);
    if (owner?.makesBackup) throw unfinishedBackup(directory, owner);
  } catch (thrown) {
    registry.delete(inode);
    throw thrown instanceof MillraceError ? thrown : openFailed(directory, thrown);
  }
  return {
    directory,
    announce() {
      // Renamed into place, so that a reader never sees half of it.
      writeFileSync(`${file}.${process.pid}`, ownerText({}), { mode: 0o600 });
      renameSync(`${file}.${process.pid}`, file);
    },
    announceBackup: () => claimForBackup(directory, file),
    holder() {
      try {
        const owner = readOwner(file);
        // Whoever has just taken over a dead owner's lock may not have left its own file yet.
        return owner && fateOf(owner) !== 'gone' ? owner.pid : undefined;
      } catch {
        return undefined; // Somebody holds the lock all the same.
      }
    },
    withdraw() {
      try {
        unlinkSync(file);
      } catch (thrown) {
        // A directory that was removed under the engine has nothing left to release.
        if (!isMissing(thrown)) throw thrown;
      }
    },
    release: () => void registry.delete(inode),
  };
}

function ownerText(purpose: Pick<OwnerData, 'makesBackup'>): string {
  const startedAt = processStart(process.pid);
  const data: OwnerData = { pid: process.pid, host: hostname(), ...(startedAt && { startedAt }), ...purpose };
  return JSON.stringify(data);
}

/** Of two processes only one succeeds; and what it leaves outlasts a power cut, like the records that follow. */
function claimForBackup(directory: string, file: string): void {
  try {
    writeFileSync(file, ownerText({ makesBackup: true }), { mode: 0o600, flag: 'wx', flush: true });
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')
      throw new JournalLockedError(directory, readOwner(file)?.pid, { cause: thrown });
    rmSync(file, { force: true });
    throw thrown;
  }
}

function unfinishedBackup(directory: string, { pid, host }: OwnerData): MillraceError {
  const message = `Expected a whole journal in ${directory}, but process ${pid} of ${host} did not finish the backup that it was making there: use another backup, and remove this one once that process has gone`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}

/** A directory that cannot be a journal's, whatever the system's reason is. */
export function openFailed(path: string, thrown: unknown): MillraceError {
  const cause = asError(thrown);
  const message = `Expected \`directory\` to be a directory that can be made, read and written, got ${path}: ${cause.message}`;
  return new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause });
}

function resolve(path: string): { directory: string; inode: string } {
  try {
    // The mode is for the journal's own directory, not for folders above it.
    mkdirSync(dirname(resolvePath(path)), { recursive: true });
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const directory = realpathSync(path);
    const { dev, ino } = statSync(directory, { bigint: true });
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
function readOwner(file: string): OwnerData | undefined {
  try {
    const data: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof data !== 'object' || data === null || !('pid' in data) || !('host' in data)) return undefined;
    if (typeof data.pid !== 'number' || typeof data.host !== 'string') return undefined;
    const startedAt = 'startedAt' in data && typeof data.startedAt === 'string' ? data.startedAt : undefined;
    const makesBackup = 'makesBackup' in data && data.makesBackup === true;
    return {
      pid: data.pid,
      host: data.host,
      ...(startedAt && { startedAt }),
      ...(makesBackup && { makesBackup }),
    };
  } catch (thrown) {
    if (isMissing(thrown) || thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/**
 * What became of an owner: same host and same start time, and it certainly runs. Where that cannot be told,
 * LevelDB's lock decides, so that a reused process id never keeps an app from starting.
 */
function fateOf({ pid, host, startedAt }: OwnerData): 'running' | 'gone' | 'unknown' {
  if (host !== hostname() || startedAt === undefined) return 'unknown';
  return processStart(pid) === startedAt ? 'running' : 'gone';
}

/** Linux: clock ticks from boot to the process's start, field 22 of /proc/pid/stat (proc_pid_stat(5)). */
function processStart(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
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
