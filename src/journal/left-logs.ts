/**
 * Keeps the logs of LevelDB in their order through a power cut. LevelDB leaves a log that is full for a new one without
 * syncing it, and a later sync covers the new one alone: what was written before could be gone, and what was written
 * after it be there. So no synced write counts before the logs that were left are on the disk, too; and what lies
 * behind such a gap, which nobody was told of, is cut off when the journal opens (file-check.ts).
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isMissingFile } from './file-fault.js';
import { syncFile } from './file-sync.js';
import { logName, sortNames } from './files/names.js';

export class LeftLogs {
  readonly #directory: string;
  /** The log that is written to, and its size after the last write. */
  #current = 0;
  #size = 0;
  /** Whether the current log holds what no sync has covered. */
  #isUnsynced = false;
  /** Left with something that no sync has covered. */
  #left: number[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.begin();
  }

  /** LevelDB has opened: it has begun a new log, and all before that is in tables. */
  begin(): void {
    this.#left = [];
    this.#isUnsynced = false;
    this.#follow();
  }

  /** A write has ended. Resolves once it is as safe as it was to be. */
  async written(isSynced: boolean): Promise<void> {
    const size = this.#sizeOf(this.#current);
    // Each write makes its log longer: this one went elsewhere.
    if (size === this.#size || size === undefined) {
      if (this.#isUnsynced) this.#left.push(this.#current);
      this.#left.push(...this.#follow());
    } else this.#size = size;
    this.#isUnsynced = !isSynced;
    if (isSynced && this.#left.length > 0) await this.#syncLeft();
  }

  async #syncLeft(): Promise<void> {
    for (const log of this.#left) {
      try {
        await syncFile(this.#pathOf(log));
      } catch (thrown) {
        // It is in a table by now, which was synced before the log was removed.
        if (!isMissingFile(thrown)) throw thrown;
      }
    }
    this.#left = [];
  }

  /** @returns the logs between: a compaction may have left the one that the write went to before that was told. */
  #follow(): number[] {
    const { logs } = sortNames(readdirSync(this.#directory));
    const before = this.#current;
    this.#current = logs.at(-1) ?? 0;
    this.#size = this.#sizeOf(this.#current) ?? 0;
    return logs.filter((log) => log > before && log < this.#current);
  }

  #sizeOf(log: number): number | undefined {
    return statSync(this.#pathOf(log), { throwIfNoEntry: false })?.size;
  }

  #pathOf(log: number): string {
    return join(this.#directory, logName(log));
  }
}
