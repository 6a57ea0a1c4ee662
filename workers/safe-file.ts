/**
 * Writes a file whole or not at all. The bytes go to a temporary file beside the destination, are synced, and
 * only then take the destination's name in one step: a reader, a crash, a full disk or an abort never meets
 * half a file, and what stood there before stays until the new file is complete.
 *
 * The temporary file is removed on any failure. Only a process (or thread) that is killed in the middle leaves
 * one behind; its name is `.millrace-….tmp`, so it can be swept.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { JobContext } from '../src/index.js';

/** Where the bytes of a file that is being written go, in order. */
export interface FileSink {
  /** Resolves once the operating system has taken all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>;
  /** How many bytes have been written. */
  readonly bytes: number;
}

/**
 * Lets `fill` write the new content of `path`, then puts it in place. Missing directories are created.
 * Nothing is put in place once the job has been aborted.
 *
 * @returns how many bytes the file has.
 * @throws what `fill` throws; the file system's own error (`ENOSPC`, `EACCES`, …), which trying again may help;
 *   the abort's reason.
 */
export async function writeWholeFile(
  path: string,
  job: Pick<JobContext, 'throwIfAborted'>,
  fill: (sink: FileSink) => Promise<void>,
): Promise<number> {
  const destination = resolve(path);
  const directory = dirname(destination);
  const temporary = join(directory, `.millrace-${randomUUID()}.tmp`);
  job.throwIfAborted();
  const firstCreated = await mkdir(directory, { recursive: true });
  try {
    const bytes = await writeAndSync(temporary, fill);
    job.throwIfAborted();
    await rename(temporary, destination);
    await syncDirectories(directory, firstCreated);
    return bytes;
  } catch (error) {
    // Its own failure must not hide the one that led here.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function writeAndSync(path: string, fill: (sink: FileSink) => Promise<void>): Promise<number> {
  const file = await open(path, 'wx');
  try {
    const sink = new HandleSink(file);
    await fill(sink);
    await file.sync();
    return sink.bytes;
  } finally {
    await file.close();
  }
}

class HandleSink implements FileSink {
  bytes = 0;
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, offset);
      offset += bytesWritten;
      this.bytes += bytesWritten;
    }
  }
}

/** A rename, and a directory that was made for it, survive a power cut only once their directory is synced. */
async function syncDirectories(directory: string, firstCreated: string | undefined): Promise<void> {
  const last = firstCreated === undefined ? directory : dirname(firstCreated);
  for (let current = directory; ; current = dirname(current)) {
    await syncDirectory(current);
    if (current === last || current === dirname(current)) return;
  }
}

/** What systems answer that cannot open or sync a directory (Windows, some network file systems). */
const CANNOT_SYNC = new Set(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP']);

async function syncDirectory(directory: string): Promise<void> {
  try {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!CANNOT_SYNC.has(codeOf(error))) throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
