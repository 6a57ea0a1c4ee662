/** The options that make a job the only one of its type with a key: what they are, and their checks. */
import { checkKnown, checkText, oneOf, positiveMs } from './checks.js';
import { namesOf } from './job/names.js';
import { invalidOption, MillraceError } from './errors.js';
import type { Duration } from './job/duration.js';
import type { UniqueWhile } from './job/record.js';
import type { OnConflict } from './job/uniqueness.js';

/** A unique key, and for how long its job holds it. */
export interface UniqueKeyOptions {
  /** Any text of 1 to 512 characters; two job types may have the same. */
  key: string;
  /**
   * `'queued'`: until the job is claimed for the first time; `'active'` (default): until it has ended; `'retained'`: until
   * it is removed; or for so long after the enqueue, whatever becomes of the job.
   */
  while?: 'queued' | 'active' | 'retained' | Duration;
  /**
   * Where another job holds the key: `'return'` (default) makes no job and returns that one; `'reject'` throws a
   * `UniqueConflictError`; `'replace'` cancels that one and makes the new one, in one write. One that runs is not
   * replaced, but rejected; one that has ended stays as it is, and only its key is taken over.
   */
  onConflict?: 'return' | 'replace' | 'reject';
}

interface Given {
  readonly uniqueKey?: string | UniqueKeyOptions;
  readonly debounce?: Duration;
  readonly throttle?: Duration;
  readonly delay?: Duration;
  readonly runAt?: number | Date;
}

export interface CheckedUnique {
  readonly key: string;
  readonly while: UniqueWhile;
  /** By how much its start is put off. */
  readonly delayMs?: number;
}

const ON_CONFLICT: readonly OnConflict[] = ['return', 'replace', 'reject'];
const FIELDS = namesOf<UniqueKeyOptions>({ key: true, while: true, onConflict: true });

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkUnique(options: Given): CheckedUnique | undefined {
  const { uniqueKey, debounce, throttle } = options;
  if (uniqueKey === undefined && debounce === undefined && throttle === undefined) return undefined;
  const window = debounce === undefined ? 'throttle' : 'debounce';
  if (uniqueKey === undefined)
    throw invalidOption('uniqueKey', `given where \`${window}\` is: the window is that of a key`, uniqueKey);
  const { key, held, onConflict } = checkKey(uniqueKey);
  if (debounce === undefined && throttle === undefined) return { key, while: held ?? 'active' };
  const setsApart = { 'uniqueKey.while': held, 'uniqueKey.onConflict': onConflict };
  const starts = { throttle, delay: options.delay, runAt: options.runAt };
  const others = debounce === undefined ? setsApart : { ...setsApart, ...starts };
  for (const [option, value] of Object.entries(others))
    if (value !== undefined) throw invalidOption(option, `absent where \`${window}\` is given`, value);
  if (debounce !== undefined) return { key, while: 'queued', delayMs: positiveMs(debounce, 'debounce') };
  return { key, while: positiveMs(throttle ?? 0, 'throttle') };
}

/** What becomes of a job whose key is held. @param options What {@link checkUnique} has passed. */
export function onConflictOf(options: Given | undefined): OnConflict {
  if (options?.debounce !== undefined) return 'replace';
  const { uniqueKey } = options ?? {};
  return (typeof uniqueKey === 'object' ? uniqueKey.onConflict : undefined) ?? 'return';
}

interface CheckedKey {
  readonly key: string;
  readonly held: UniqueWhile | undefined;
  readonly onConflict: OnConflict | undefined;
}

function checkKey(given: string | UniqueKeyOptions): CheckedKey {
  if (typeof given !== 'object' || given === null)
    return { key: checkText(given, 'uniqueKey'), held: undefined, onConflict: undefined };
  checkKnown(given, FIELDS, 'uniqueKey');
  const { while: held, onConflict } = given;
  return {
    key: checkText(given.key, 'uniqueKey.key'),
    held: held === undefined ? undefined : checkWhile(held),
    onConflict: onConflict === undefined ? undefined : oneOf(onConflict, 'uniqueKey.onConflict', ON_CONFLICT),
  };
}

function checkWhile(held: 'queued' | 'active' | 'retained' | Duration): UniqueWhile {
  if (held === 'queued' || held === 'active' || held === 'retained') return held;
  try {
    return positiveMs(held, 'uniqueKey.while');
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    const expected = "'queued', 'active', 'retained', or at least 1 millisecond as a number or like '90s'";
    throw invalidOption('uniqueKey.while', expected, held);
  }
}
