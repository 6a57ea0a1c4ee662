/** How a single option is checked, whatever it is an option of: each check gives the value back, or says what was expected. */
import { invalidOption, MillraceError, show } from './errors.js';
import { toMs, type Duration } from './job/duration.js';
import { MAX_PRIORITY, MIN_PRIORITY, type Durability } from './job/record.js';

/** One character of `!` or a space would make two keys of the journal look alike. */
const NAME = /^[A-Za-z0-9_][\w.:/-]{0,127}$/;
const MAX_TEXT_LENGTH = 512;
const TEXT_RULE = `a well-formed string of 1 to ${MAX_TEXT_LENGTH} characters`;
const isText = (text: string): boolean =>
  text !== '' && text.length <= MAX_TEXT_LENGTH && text.isWellFormed();
const MAX_REASON_LENGTH = 256;
/** Behind it there are no dates. */
export const LAST_INSTANT = 8.64e15;

export const NAME_RULE = 'a name of letters, digits, and _ . : / -, at most 128 characters';

export const isName = (name: unknown): name is string => typeof name === 'string' && NAME.test(name);

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkName(name: unknown, option: string): string {
  if (isName(name)) return name;
  throw invalidOption(option, NAME_RULE, name);
}

/** An id or a key. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkText(text: unknown, option: string): string {
  if (typeof text === 'string' && isText(text)) return text;
  throw invalidOption(option, TEXT_RULE, text);
}

/** Of a job that is asked for: any other text than an id's is that of none. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkAskedId(id: unknown): string {
  if (typeof id === 'string') return id;
  throw invalidOption('id', "a job's id", id);
}

/** What is said of a cancel. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkReason(reason: unknown, option = 'reason'): string {
  const isShort = typeof reason === 'string' && reason !== '' && reason.length <= MAX_REASON_LENGTH;
  if (isShort && reason.isWellFormed()) return reason;
  throw invalidOption(option, `a well-formed string of 1 to ${MAX_REASON_LENGTH} characters`, reason);
}

/** @throws MillraceError `MILLRACE_QUEUE_UNKNOWN` */
export function checkQueueName(name: string, queues: ReadonlyMap<string, unknown>, option: string): string {
  if (queues.has(name)) return name;
  const known = [...queues.keys()].join(', ');
  throw new MillraceError(
    'MILLRACE_QUEUE_UNKNOWN',
    `Expected \`${option}\` to be one of the queues ${known}, got: ${show(name)}`,
  );
}

/**
 * @param expected What a refusal says was expected.
 * @throws MillraceError `MILLRACE_JOB_UNKNOWN`
 */
export function checkJobName<Type>(
  name: string,
  types: ReadonlyMap<string, Type>,
  expected = 'the name of a job type',
): Type {
  const type = types.get(name);
  if (type !== undefined) return type;
  const known = [...types.keys()].join(', ');
  throw new MillraceError('MILLRACE_JOB_UNKNOWN', `Expected ${expected} (${known}), got: ${show(name)}`);
}

export const checkDurability = (value: unknown, option = 'durability'): Durability =>
  oneOf(value, option, ['fsync', 'os']);
export const checkPriority = (value: unknown, option: string): number =>
  integer(value, option, MIN_PRIORITY, MAX_PRIORITY);
export const checkConcurrency = (value: number | undefined, option: string): number =>
  value === undefined ? Infinity : integer(value, option, 1);

/**
 * Refuses what is no object, or has a field that means nothing: a misspelt option must not pass for one.
 * @param prefix What stands before a field's name in a refusal.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`
 */
export function checkKnown(
  options: object,
  fields: readonly string[],
  option: string,
  prefix = `${option}.`,
): void {
  if (!isRecord(options)) throw invalidOption(option, PLAIN_RULE, options);
  for (const [field, value] of Object.entries(options)) {
    if (fields.includes(field) || value === undefined) continue;
    const meant = fields.find((known) => isMisspelt(field, known));
    const hint = meant === undefined ? '' : ` (did you mean \`${meant}\`?)`;
    throw invalidOption(`${prefix}${field}`, `absent${hint}: there are ${fields.join(', ')}`, value);
  }
}

/** Whether a text may be meant to be another: one letter is missing, added or another, or two have changed places. */
function isMisspelt(text: string, known: string): boolean {
  let start = 0;
  while (start < known.length && text[start] === known[start]) start++;
  let end = 0;
  while (end < known.length - start && text.at(-1 - end) === known.at(-1 - end)) end++;
  const [given, meant] = [text.slice(start, text.length - end), known.slice(start, known.length - end)];
  if (given.length <= 1 && meant.length <= 1) return true;
  return given.length === 2 && meant.length === 2 && given[0] === meant[1] && given[1] === meant[0];
}

/** The only option of what can be waited for. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkSignal(options: { readonly signal?: AbortSignal } | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  checkKnown(options, ['signal'], 'options', '');
  return abortSignal(options.signal);
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function abortSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal;
  throw invalidOption('signal', 'an AbortSignal', signal);
}

export const PLAIN_RULE = 'a plain object';

/**
 * Whether it can be meant to have its fields by name: a promise, a `Map` or a `Date` has none, and must not pass for
 * options that say nothing, or a filter that means everything.
 */
export function isRecord(value: unknown): value is object {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of another realm than this one, too.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain || Object.keys(value).length > 0;
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Refuses what lacks a method that will be called. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkMethods(value: object, methods: readonly string[], option: string): void {
  const missing = methods.filter((method) => typeof Reflect.get(Object(value), method) !== 'function');
  if (missing.length === 0) return;
  throw invalidOption(
    option,
    `an object with ${methods.join('(), ')}(): it lacks ${missing.join(', ')}`,
    value,
  );
}

/** So long after an instant, as far as there are dates. */
export const instantAfter = (at: number, durationMs: number): number =>
  Math.min(at + durationMs, LAST_INSTANT);

/** @returns epoch milliseconds. */
export function checkInstant(value: number | Date, option: string): number {
  const at = value instanceof Date ? value.getTime() : value;
  if (!Number.isSafeInteger(at) || at < 0 || at > LAST_INSTANT)
    throw invalidOption(option, 'epoch milliseconds or a valid Date', value);
  return at;
}

export function integer(value: unknown, option: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalidOption(
    option,
    max === Number.MAX_SAFE_INTEGER ? `an integer ≥ ${min}` : `an integer from ${min} to ${max}`,
    value,
  );
}

export const positiveMs = (value: Duration, option: string): number => toMs(value, option, 1);

export function oneOf<const T>(value: unknown, option: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found !== undefined) return found;
  throw invalidOption(
    option,
    allowed.map((one) => (typeof one === 'string' ? `'${one}'` : String(one))).join(' or '),
    value,
  );
}

export function checkFunction<Call extends (...args: never[]) => unknown>(value: Call, option: string): Call {
  if (typeof value === 'function') return value;
  throw invalidOption(option, 'a function', value);
}

export function boolean(value: unknown, option: string): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidOption(option, 'true or false', value);
}
