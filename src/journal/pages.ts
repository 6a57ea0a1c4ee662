/** Pages of the journal's keys: their records unsealed, those that are damaged reported and left out. */
import type { MillraceError } from '../errors.js';
import { unsealText } from './integrity.js';
import type { Span } from './keys.js';
import type { Marks } from './marks.js';
import type { Store } from './store.js';

/** An entry of an index: its key, and what it says about a job. */
export interface IndexEntry {
  readonly key: string;
  readonly text: string;
}

export interface IndexPage {
  readonly entries: readonly IndexEntry[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

export interface PagesLinks {
  readonly store: Store;
  /** Those of the store as it is open now. */
  readonly marks: () => Marks;
  /** @throws MillraceError `MILLRACE_CLOSED` */
  readonly assertOpen: () => void;
  readonly reportDamage: (key: string, error: MillraceError) => void;
}

export class Pages {
  readonly #links: PagesLinks;

  constructor(links: PagesLinks) {
    this.#links = links;
  }

  /** @throws MillraceError `MILLRACE_CLOSED` */
  get store(): Store {
    this.#links.assertOpen();
    return this.#links.store;
  }

  get marks(): Marks {
    return this.#links.marks();
  }

  reportDamage(key: string, error: MillraceError): void {
    this.#links.reportDamage(key, error);
  }

  /** Entries that say something about jobs, behind the key `after`. */
  async texts(span: Span, after: string | undefined, limit: number): Promise<IndexPage> {
    const { entries, last } = await this.read(span, after, limit, unsealText);
    const texts = entries.map(({ key, value }) => ({ key, text: value }));
    return last === undefined ? { entries: texts } : { entries: texts, next: last };
  }

  /** @returns the entries that are sound, and, where there may be more, the last key that was read. */
  async read<Value>(
    span: Span,
    after: string | undefined,
    limit: number,
    read: (key: string, record: Uint8Array) => Value,
    start = this.marks.startOf(span.from),
  ): Promise<{ entries: { key: string; value: Value }[]; last: string | undefined }> {
    const range = after === undefined ? { from: start } : { from: after, after: true };
    const page = await this.store.page({ ...range, to: span.to, limit });
    const entries: { key: string; value: Value }[] = [];
    for (const { key, value } of page) {
      try {
        entries.push({ key, value: read(key, value) });
      } catch (thrown) {
        // It throws nothing else, for what its checksum lets pass can be decoded.
        this.reportDamage(key, thrown as MillraceError);
      }
    }
    return { entries, last: page.length === limit ? page.at(-1)?.key : undefined };
  }
}
