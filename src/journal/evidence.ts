/**
 * Sorts by job what places and rosters say, whose keys are in orders of their own. There is as much of it as there are
 * jobs: what is more than fits into memory is kept in a LevelDB of its own.
 */
import { byBytes } from './byte-order.js';
import { claimOf, endedOf, isPlace } from './keys.js';
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

/** So many entries are kept in memory. */
const MAX_ENTRIES = 100_000;

export class EvidenceStore {
  readonly #directory: string;
  #entries: string[] = [];
  #store: Store | undefined;

  /** @param directory Where it can be kept: empty, or not there; to be removed by the caller. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @param key The place or roster that names the job. */
  async add(id: string, key: string): Promise<void> {
    this.#entries.push(`${escaped(id)}${END}${key}`);
    if (this.#entries.length >= MAX_ENTRIES) await this.#spill();
  }

  /** Of one job after the other, in the order of their ids' bytes. */
  async *jobs(): AsyncGenerator<JobEvidence> {
    let id: string | undefined;
    let keys: string[] = [];
    for await (const page of this.#pages()) {
      for (const entry of page) {
        const at = entry.indexOf(END);
        const next = unescaped(entry.slice(0, at));
        if (next !== id && id !== undefined) yield evidenceOf(id, keys);
        if (next !== id) keys = [];
        id = next;
        keys.push(entry.slice(at + END.length));
      }
    }
    if (id !== undefined) yield evidenceOf(id, keys);
  }

  async *#pages(): AsyncGenerator<readonly string[]> {
    if (!this.#store) {
      yield this.#entries.sort(byBytes);
      return;
    }
    await this.#spill();
    for (let from = '\0'; ;) {
      const page = await this.#store.page({ from, after: from !== '\0', to: '\u{10ffff}', limit: PAGE });
      const keys = page.map(({ key }) => key);
      yield keys;
      const last = keys.at(-1);
      if (last === undefined || keys.length < PAGE) return;
      from = last;
    }
  }

  async #spill(): Promise<void> {
    this.#store ??= await openLevelStore(this.#directory);
    const entries = this.#entries;
    this.#entries = [];
    for (let at = 0; at < entries.length; at += BATCH) {
      const batch = this.#store.batch();
      for (const entry of entries.slice(at, at + BATCH)) batch.put(entry, NOTHING);
      await batch.write(false);
    }
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }
}
function evidenceOf(id: string, keys: readonly string[]): JobEvidence {
  return {
    id,
    places: keys.filter(isPlace),
    deadlines: keys.filter((key) => key.startsWith('x!')),
    claims: keys.filter((key) => key.startsWith('a!')).map(claimOf),
    ends: keys.filter((key) => key.startsWith('f!')).map(endedOf),
  };
}
