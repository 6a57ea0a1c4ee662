/**
 * The files of a simulated machine in which large payloads lie. What is done to them stays under way as what is done to
 * the store does; nothing that is drawn leaves them unsynced, so a power cut takes none.
 */
import { MillraceError } from '../../src/index.js';
import type { LocatedPayload, PayloadFile } from '../../src/job/payload-file.js';
import type { Draft, JobSpec } from '../../src/job/record.js';
import { PayloadFiles } from '../../src/journal/payload-files.js';

/** A file's job, and its payload. */
export interface File {
  readonly id: string;
  readonly payload: Uint8Array;
}

/** By their names. */
export type Files = Map<string, File>;

export interface FilesLinks {
  readonly files: Files;
  /** Of the process's own files: no other has any that begins with it. */
  readonly prefix: string;
  /** Has something done to the disk. */
  readonly access: <Value>(perform: () => Value) => Promise<Value>;
}

/** What the names of a process's files begin with. */
export const prefixOf = (pid: number): string => `process-${pid}-`;

const NOTHING = new Uint8Array();

/** As one process has them. */
export class SimulatedFiles extends PayloadFiles {
  readonly #links: FilesLinks;
  readonly #discarding = new Set<Promise<unknown>>();
  #count = 0;

  constructor(links: FilesLinks) {
    super('simulated');
    this.#links = links;
  }

  override locate(file: PayloadFile): LocatedPayload {
    return { ...file, path: file.name };
  }

  override async store(spec: JobSpec): Promise<Draft<JobSpec>> {
    const { files, prefix, access } = this.#links;
    const { id, payload } = spec;
    const name = `${prefix}${++this.#count}`;
    await access(() => files.set(name, { id, payload: payload.slice() }));
    const payloadFile = { name, offset: 0, bytes: payload.byteLength, checksum: 0 };
    return { ...spec, payload: NOTHING, payloadFile };
  }

  override async read({ payload, payloadFile }: JobSpec): Promise<Uint8Array> {
    const { files, access } = this.#links;
    return payloadFile ? access(() => payloadIn(files, payloadFile.name)) : payload;
  }

  override discard(discarded: readonly PayloadFile[]): void {
    const { files, access } = this.#links;
    for (const { name } of discarded) {
      const discarding = access(() => files.delete(name)).catch(() => {});
      this.#discarding.add(discarding);
      void discarding.then(() => this.#discarding.delete(discarding));
    }
  }

  override async sweep(...[isReferredTo, isStopped]: Parameters<PayloadFiles['sweep']>): Promise<void> {
    const { files, prefix, access } = this.#links;
    const names = await access(() => [...files.keys()].filter((name) => !name.startsWith(prefix)));
    for (const name of names) {
      if (isStopped()) return;
      const id = await access(() => files.get(name)?.id);
      if (id !== undefined && !(await isReferredTo(id, name))) await access(() => files.delete(name));
    }
  }

  override async close(): Promise<void> {
    await Promise.all(this.#discarding);
  }
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export function payloadIn(files: Files, name: string): Uint8Array {
  const file = files.get(name);
  if (file) return file.payload;
  throw new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The payload in ${name} is missing`);
}
