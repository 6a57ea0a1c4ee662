/** Copies the files of payloads into a backup. */
import { constants, copyFile, mkdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PayloadFile } from '../job/payload-file.js';
import { syncDirectory, syncFile } from './file-sync.js';
import { PAYLOADS } from './payload-files.js';

export class PayloadCopies {
  readonly #from: string;
  readonly #to: string;
  #isMade = false;

  /** @param journal Its directory. @param target That of the backup. */
  constructor(journal: string, target: string) {
    this.#from = join(journal, PAYLOADS);
    this.#to = join(target, PAYLOADS);
  }

  /** @returns whether there was one. */
  async copy({ name }: PayloadFile): Promise<boolean> {
    const [from, to] = [join(this.#from, name), join(this.#to, name)];
    if (!existsSync(from)) return false;
    if (!this.#isMade) await mkdir(this.#to, { mode: 0o700 });
    this.#isMade = true;
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await syncFile(to);
    return true;
  }

  /** Makes their names last. */
  async sync(): Promise<void> {
    if (this.#isMade) await syncDirectory(this.#to);
  }
}
