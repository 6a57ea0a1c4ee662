/** When a schedule ticks: a cron pattern in a time zone, which croner reads, or an interval. Pure but for croner. */
import { Cron, type CronOptions } from 'croner';
import { invalidOption, MillraceError, show } from '../errors.js';
import { toMs, type Duration } from '../job/duration.js';

/** A pattern in the zone whose clocks it speaks of, or a plain interval. */
export type Timing = CronTiming | { readonly everyMs: number };

interface CronTiming {
  readonly pattern: string;
  readonly timezone: string;
}

/** Instants are epoch milliseconds. */
export interface Rhythm {
  /** The first tick after an instant; absent where none follows. */
  after(instant: number): number | undefined;
  /** The last ticks up to an instant, itself included, the newest first; at most so many. */
  upTo(instant: number, count: number): number[];
}

/** @param anchorAt Where an interval begins: it ticks at whole multiples from there. */
export type ReadRhythm = (timing: Timing, anchorAt: number) => Rhythm;

/** Reads a rhythm anew. */
export const rhythmOf: ReadRhythm = (timing, anchorAt) =>
  'everyMs' in timing ? intervalRhythm(timing.everyMs, anchorAt) : cronRhythm(timing);

/** Reads rhythms for a while, the last ones once: thousands of schedules may share one, and all be due at the same time. */
export function rhythmReader(): ReadRhythm {
  const known = new Map<string, Rhythm>();
  return (timing, anchorAt) => {
    if ('everyMs' in timing) return intervalRhythm(timing.everyMs, anchorAt);
    const key = `${timing.timezone} ${timing.pattern}`;
    const before = known.get(key);
    if (before) return before;
    if (known.size >= MAX_KNOWN) known.clear();
    const rhythm = rememberingLast(cronRhythm(timing));
    known.set(key, rhythm);
    return rhythm;
  };
}

/** Each takes 80 KB: croner lists all years. */
const MAX_KNOWN = 16;

/** Whoever asks after the others often asks the same. */
function rememberingLast(rhythm: Rhythm): Rhythm {
  const answers = new Map<number, number | undefined>();
  return {
    upTo: (instant, count) => rhythm.upTo(instant, count),
    after(instant) {
      if (answers.has(instant)) return answers.get(instant);
      if (answers.size >= MAX_KNOWN) answers.clear();
      const tick = rhythm.after(instant);
      answers.set(instant, tick);
      return tick;
    },
  };
}

function intervalRhythm(everyMs: number, anchorAt: number): Rhythm {
  const at = (n: number): number => anchorAt + n * everyMs;
  const countAt = (instant: number): number => Math.floor((instant - anchorAt) / everyMs);
  return {
    after: (instant) => at(Math.max(0, countAt(instant) + 1)),
    upTo(instant, count) {
      const last = countAt(instant);
      return Array.from({ length: Math.max(0, Math.min(count, last + 1)) }, (_, i) => at(last - i));
    },
  };
}

/** croner's object takes 80 KB, and is made in the time of one answer: so none is kept for long. */
function cronRhythm({ pattern, timezone }: CronTiming): Rhythm {
  const cron = new Cron(pattern, { ...RULES, timezone });
  return {
    after: (instant) => cron.nextRun(new Date(instant))?.getTime(),
    // What croner looks back from is not included, and counts in whole seconds.
    upTo: (instant, count) =>
      cron
        .previousRuns(count, new Date(Math.floor(instant / 1_000) * 1_000 + 1_000))
        .map((date) => date.getTime()),
  };
}

/**
 * `no-wildcard`: a pattern whose time of day has no `*`, `?` or step means certain times of the day. Each of them comes
 * once a day: after the gap where clocks are set forward over it, and the first time where they are set back over it. Any
 * other pattern goes by what the clocks show. Without it that would hold for a single time, and not for `30 2,14 * * *`.
 * What a gap skips at the end of a day, as it does in Greenland, is left out, for after it there is another day.
 */
const RULES: CronOptions = { paused: true, fixedTimeRule: 'no-wildcard', mode: '5-or-6-parts' };

const EVERY = /^@every\s+(.+)$/i;
/** A hundred years: beyond that dates end. */
const MAX_EVERY_MS = 36_525 * 86_400_000;
const PATTERN_RULE =
  "a cron pattern of five fields, or six with seconds, such as '30 2 * * *' (at 02:30 every day), '@daily', or '@every 15m'";
const FIELDS = [
  'second (0-59)',
  'minute (0-59)',
  'hour (0-23)',
  'day of the month (1-31, L, 15W)',
  'month (1-12, JAN-DEC)',
  'day of the week (0-7, SUN-SAT, 5L, 5#2)',
] as const;

/**
 * @param now Epoch milliseconds, from which on it must match some time.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`
 */
export function checkPattern(pattern: string, timezone: string, option: string, now: number): Timing {
  if (typeof pattern !== 'string') throw invalidOption(option, PATTERN_RULE, pattern);
  const text = pattern.trim();
  const every = EVERY.exec(text)?.[1];
  if (every !== undefined) return checkInterval(every as Duration, option);
  const timing = { pattern: text.replaceAll(/\s+/g, ' '), timezone };
  const rhythm = cronIfReadable(timing);
  if (!rhythm) throw badPattern(option, pattern, problemOf(timing.pattern));
  if (rhythm.after(now) === undefined) throw badPattern(option, pattern, 'there is no such day');
  return timing;
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkInterval(every: Duration, option: string): Timing {
  const everyMs = toMs(every, option);
  if (everyMs < 1 || everyMs > MAX_EVERY_MS)
    throw invalidOption(option, "an interval such as '15m', from a millisecond to a hundred years", every);
  return { everyMs };
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkTimezone(timezone: string, option: string): string {
  try {
    // A croner that is given a zone that does not exist says so when it is first asked.
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: timezone }).resolvedOptions();
    if (typeof timezone === 'string' && !/^[+-]/.test(timeZone)) return timezone;
  } catch {
    // What it says does not say more.
  }
  throw invalidOption(option, "a time zone such as 'Europe/Berlin' or 'UTC'", timezone);
}

/** The zone that this machine's clock is in. */
export const localTimezone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

function badPattern(option: string, pattern: string, problem: string): MillraceError {
  const message = `Expected \`${option}\` to be ${PATTERN_RULE}, got: ${show(pattern)}, and ${problem}`;
  return new MillraceError('MILLRACE_OPTION_INVALID', message);
}

/** What is wrong with a pattern: croner does not say where, and counts days and months from 0. */
function problemOf(pattern: string): string {
  if (pattern.startsWith('@')) return 'there is no such name';
  const fields = pattern === '' ? [] : pattern.split(' ');
  if (fields.length !== 5 && fields.length !== 6)
    return `it has ${fields.length} ${fields.length === 1 ? 'field' : 'fields'}`;
  const names = FIELDS.slice(-fields.length);
  const at = fields.findIndex(
    (field, i) => !isReadable(fields.map((_, j) => (i === j ? field : '*')).join(' ')),
  );
  return at < 0 ? 'its fields do not go together' : `${show(fields[at])} is no ${names[at]}`;
}

const isReadable = (pattern: string): boolean => cronIfReadable({ pattern, timezone: 'UTC' }) !== undefined;

/** Its rhythm, where the pattern can be read. */
function cronIfReadable(timing: CronTiming): Rhythm | undefined {
  // To croner a text with a colon is a date.
  if (timing.pattern.includes(':')) return undefined;
  try {
    return cronRhythm(timing);
  } catch {
    // What croner says would not help: see problemOf().
    return undefined;
  }
}
