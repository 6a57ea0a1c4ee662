/**
 * Sorts by job what places and rosters say, whose keys are in orders of their own. It is kept in a LevelDB of its own,
 * for there is as much of it as there are jobs.
 */
import { claimOf, endedOf } from './keys.js';
import { openLevelStore } from './level-store.js';
import type { Store } from './store.js';
import type { Evidence } from './verdict.js';

const BATCH = 4_096;
const PAGE = 1_024;
const NOTHING = new Uint8Array();
/** Between id and key. An id may hold a NUL, which is doubled in a way that keeps the order. */
const END = '\0\0';
const escaped = (id: string): string => id.replaceAll('\0', '\0\x01');
const unescaped = (text: string): string => text.replaceAll('\0\x01', '\0');

export interface JobEvidence extends Evidence {
  readonly id: string;
}

export class EvidenceStore {
  readonly #store: Store;
  #batch;

  private constructor(store: Store) {
    this.#store = store;
    this.#batch = store.batch();
  }

  /** @param directory Empty, or not there; to be removed by the caller. */
  static async open(directory: string): Promise<EvidenceStore> {
    return new EvidenceStore(await openLevelStore(directory));
  }

  /** @param key The place or roster that names the job. */
  async add(id: string, key: string): Promise<void> {
    this.#batch.put(`${escaped(id)}${END}${key}`, NOTHING);
    if (this.#batch.length >= BATCH) await this.#flush();
  }

  /** Of one job after the other, in the order of their ids' bytes. */
  async *jobs(): AsyncGenerator<JobEvidence> {
    await this.#flush();
    let id: string | undefined;
    let keys: string[] = [];
    for (let from = '\0'; ;) {
      const page = await this.#store.page({ from, after: from !== '\0', to: '\u{10ffff}', limit: PAGE });
      for (const { key } of page) {
        const at = key.indexOf(END);
        const next = unescaped(key.slice(0, at));
        if (next !== id && id !== undefined) yield evidenceOf(id, keys);
        if (next !== id) keys = [];
        id = next;
        keys.push(key.slice(at + END.length));
      }
      const last = page.at(-1);
      if (!last || page.length < PAGE) break;
      from = last.key;
    }
    if (id !== undefined) yield evidenceOf(id, keys);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #flush(): Promise<void> {
    if (this.#batch.length === 0) return;
    await this.#batch.write(false);
    this.#batch = this.#store.batch();
  }
}

function evidenceOf(id: string, keys: readonly string[]): JobEvidence {
  return {
    id,
    places: keys.filter((key) => key.startsWith('r!') || key.startsWith('t!')),
    claims: keys.filter((key) => key.startsWith('a!')).map(claimOf),
    ends: keys.filter((key) => key.startsWith('f!')).map(endedOf),
  };
}
