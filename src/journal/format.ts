/** Which layout of keys and values a journal has: another one than this version's is refused. */
import { MillraceError } from '../errors.js';
import { CHECKSUM_BYTES } from '../job/record-format.js';
import { unsealText } from './integrity.js';
import { metaKey } from './keys.js';
import { putNumber } from './meta.js';
import type { Store } from './store.js';

/** The layout that this version writes. */
export const FORMAT_VERSION = 6;
/** Formats that this version reads and goes on with: 4 has no schedules, and 5 no names for what few jobs have. */
const TAKEN_OVER: ReadonlySet<number> = new Set([4, 5]);

/** Formats 1 and 2 had other checksums, behind the value: the digit comes first. */
const OLD_FORMATS: ReadonlyMap<number, number> = new Map([
  [0x31, 1],
  [0x32, 2],
]);

/**
 * Makes sure that the journal can be read, and marks a new one.
 * @throws MillraceError `MILLRACE_JOURNAL_FORMAT`, `MILLRACE_JOURNAL_CORRUPT`
 */
export async function checkFormat(store: Store): Promise<void> {
  const format = await readFormat(store);
  if (format !== undefined) assertFormat(format);
  else await assertEmpty(store);
  if (format === FORMAT_VERSION) return;
  const batch = store.batch();
  putNumber(batch, 'format', FORMAT_VERSION);
  await batch.write(true);
}

/** @throws MillraceError `MILLRACE_JOURNAL_FORMAT` */
export function assertFormat(format: number): void {
  if (format === FORMAT_VERSION || TAKEN_OVER.has(format)) return;
  const message =
    format > FORMAT_VERSION
      ? `The journal has format ${format}, and this version of Millrace knows formats up to ${FORMAT_VERSION}: open it with the version that wrote it, or a newer one`
      : `The journal has format ${format}, which was never released and cannot be read: finish its jobs with the version that wrote it, or use another directory`;
  throw new MillraceError('MILLRACE_JOURNAL_FORMAT', message);
}

/** Of a new journal. What has records and does not say of which format was never finished, or has lost it. */
async function assertEmpty(store: Store): Promise<void> {
  const [first] = await store.page({ from: '!', to: '~', limit: 1 });
  if (!first) return;
  const message = `The journal has records (${first.key}), and none that says its format: expected a whole journal, or an empty directory`;
  throw new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}

async function readFormat(store: Store): Promise<number | undefined> {
  const key = metaKey('format');
  const [value] = await store.getMany([key]);
  if (!value) return undefined;
  const [first = 0] = value;
  const old = value.byteLength === 1 + CHECKSUM_BYTES ? OLD_FORMATS.get(first) : undefined;
  return old ?? Number(unsealText(key, value));
}
