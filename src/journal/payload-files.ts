/**
 * Payloads that are too large for LevelDB, each in a file beside it. A file is whole, and as durable as its job, before a
 * record refers to it, and goes after the commit that removes the job. What a crash, or a commit that failed, leaves
 * without a job is swept after the next start.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, opendir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { asError, MillraceError } from '../errors.js';
import {
  headerOf,
  jobIdIn,
  MAX_HEADER_BYTES,
  payloadIn,
  payloadUnread,
  type LocatedPayload,
  type PayloadFile,
} from '../job/payload-file.js';
import type { Draft, JobSpec } from '../job/record.js';
import { isMissingFile } from './file-fault.js';
import { syncDirectory } from './file-sync.js';

/** The directory below the journal's. */
export const PAYLOADS = 'payloads';

const NOTHING = new Uint8Array();
/** Of so many bytes at a time the checksum is taken, so that the event loop does not stand still. */
const SLICE_BYTES = 4 << 20;

export class PayloadFiles {
  readonly #directory: string;
  /** No other process has given these names: what it wrote, a sweep leaves alone. */
  readonly #prefix = randomUUID();
  #count = 0;
  #isMade = false;
  /** How many views of the journal are open: they may refer to files of jobs that were removed since. */
  #views = 0;
  #doomed: PayloadFile[] = [];
  readonly #removing = new Set<Promise<void>>();

  /** @param journal The journal's directory. */
  constructor(journal: string) {
    this.#directory = join(journal, PAYLOADS);
  }

  locate(file: PayloadFile): LocatedPayload {
    return { ...file, path: join(this.#directory, file.name) };
  }

  /**
   * Writes the payload of a new job to a file.
   * @returns the spec that refers to it.
   * @throws MillraceError `MILLRACE_JOURNAL_WRITE_FAILED`: and nothing is left of it.
   */
  async store(spec: JobSpec): Promise<Draft<JobSpec>> {
    const { id, payload, durability } = spec;
    const header = headerOf(id);
    const payloadFile: PayloadFile = {
      name: `${this.#prefix}-${++this.#count}`,
      offset: header.byteLength,
      bytes: payload.byteLength,
      checksum: await checksumOf(payload),
    };
    try {
      await this.#make();
      await this.#write(payloadFile, [header, payload], durability === 'fsync');
    } catch (thrown) {
      await this.#remove(payloadFile);
      const cause = asError(thrown);
      const message = `The payload could not be written beside the journal: ${cause.message}. Nothing was enqueued`;
      throw new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message, { cause });
    }
    return { ...spec, payload: NOTHING, payloadFile };
  }

  /** The payload of a job, wherever it lies. @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
  async read({ payload, payloadFile }: JobSpec): Promise<Uint8Array> {
    return payloadFile ? readPayload(this.locate(payloadFile)) : payload;
  }

  /** Whoever looks at what was committed at one moment calls it, and what it returns when that is over. */
  keep(): () => void {
    this.#views++;
    return () => {
      this.#views--;
      if (this.#views === 0) this.discard(this.#doomed.splice(0));
    };
  }

  /** No job refers to them any more. */
  discard(files: readonly PayloadFile[]): void {
    if (this.#views > 0) {
      this.#doomed.push(...files);
      return;
    }
    for (const file of files) {
      const removing = this.#remove(file).finally(() => this.#removing.delete(removing));
      this.#removing.add(removing);
    }
  }

  /**
   * Removes what earlier processes have left without a job.
   * @param isReferredTo Whether the job of the id is there, and its payload is in the file.
   */
  async sweep(
    isReferredTo: (id: string, name: string) => Promise<boolean>,
    isStopped: () => boolean,
  ): Promise<void> {
    for (const name of await this.#leftNames()) {
      if (isStopped()) return;
      const start = await this.#startOf(name);
      // Its job was removed meanwhile, and the file with it.
      if (!start) continue;
      const id = jobIdIn(start);
      if (id === undefined || !(await isReferredTo(id, name)))
        await rm(join(this.#directory, name), { force: true });
    }
  }

  /** Resolves once nothing is being removed. */
  async close(): Promise<void> {
    await Promise.all(this.#removing);
  }

  async #leftNames(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const { name } of await opendir(this.#directory))
        if (!name.startsWith(this.#prefix)) names.push(name);
    } catch (thrown) {
      if (!isMissingFile(thrown)) throw thrown;
    }
    return names;
  }

  /** @returns nothing where it is not there any more. */
  async #startOf(name: string): Promise<Uint8Array | undefined> {
    const handle = await open(join(this.#directory, name), 'r').catch((thrown: unknown) => {
      if (isMissingFile(thrown)) return undefined;
      throw thrown;
    });
    if (!handle) return undefined;
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  async #make(): Promise<void> {
    if (this.#isMade) return;
    // Not the journal's own directory, should that have gone: nothing there would say that it is one.
    await mkdir(this.#directory, { mode: 0o700 }).catch((thrown: unknown) => {
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
    });
    await syncDirectory(dirname(this.#directory));
    this.#isMade = true;
  }

  async #write(file: PayloadFile, parts: readonly Uint8Array[], isSynced: boolean): Promise<void> {
    const handle = await open(join(this.#directory, file.name), 'wx', 0o600);
    try {
      for (const part of parts) await handle.writeFile(part);
      if (isSynced) await handle.sync();
    } finally {
      await handle.close();
    }
    if (isSynced) await syncDirectory(this.#directory);
  }

  /** One that cannot be removed is swept after the next start. */
  async #remove({ name }: PayloadFile): Promise<void> {
    await rm(join(this.#directory, name), { force: true }).catch(() => {});
  }
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export async function readPayload(file: LocatedPayload): Promise<Uint8Array> {
  let contents: Uint8Array;
  try {
    contents = await readFile(file.path);
  } catch (thrown) {
    throw payloadUnread(file, thrown);
  }
  return payloadIn(file, contents);
}

async function checksumOf(bytes: Uint8Array): Promise<number> {
  let checksum = 0;
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    if (at > 0) await turn();
    checksum = crc32(bytes.subarray(at, at + SLICE_BYTES), checksum);
  }
  return checksum;
}
