/**
 * When a cron pattern ticks, found without croner: a scan over the minutes of a year that looks at what the clocks of
 * the zone show at each of them, as `Intl` tells it.
 */
import { readPattern, type CalendarDay, type Pattern } from './oracle-pattern.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAY_MINUTES = 1_440;
/** An offset that is the same at two quarters of an hour is that between them, too. */
const QUARTER_MINUTES = 15;

const NONE: readonly number[] = [];

/** A minute that clocks show, counted as if they were those of UTC. */
type LocalMinute = number;

/** The clocks of a zone in one year (of UTC). */
export class LocalClock {
  readonly timezone: string;
  readonly startAt: number;
  readonly endAt: number;
  /** What they show at each minute of the year. */
  readonly shown: Int32Array;
  /** The instants at which they are set forward or back. */
  readonly changesAt: readonly number[];

  constructor(timezone: string, year: number) {
    this.timezone = timezone;
    this.startAt = Date.UTC(year, 0, 1);
    this.endAt = Date.UTC(year + 1, 0, 1);
    const offsets = this.#offsets();
    this.shown = offsets.map((offset, n) => this.startAt / MINUTE_MS + n + offset);
    this.changesAt = [...offsets.keys()]
      .filter((n) => n > 0 && offsets[n] !== offsets[n - 1])
      .map((n) => this.startAt + n * MINUTE_MS);
  }

  /** The hours of the day that they skip, or show twice. */
  changedHours(): number[] {
    const hours = this.changesAt.flatMap((change) => {
      const n = (change - this.startAt) / MINUTE_MS;
      const [before = 0, after = 0] = this.shown.subarray(n - 1, n + 1);
      const length = Math.abs(after - before - 1);
      // It is no hour that is changed where a whole day is.
      if (length >= DAY_MINUTES) return [];
      const first = Math.min(before + 1, after);
      return Array.from({ length }, (_, k) => Math.floor(((first + k) % DAY_MINUTES) / 60));
    });
    return [...new Set(hours)];
  }

  /** The zone's offset from UTC at each minute of the year, in minutes. */
  #offsets(): Int32Array {
    const format = new Intl.DateTimeFormat('en', { timeZone: this.timezone, timeZoneName: 'longOffset' });
    const offsetAt = (n: number): number => offsetIn(format.format(this.startAt + n * MINUTE_MS));
    const offsets = new Int32Array((this.endAt - this.startAt) / MINUTE_MS);
    let offset = offsetAt(0);
    for (let n = 0; n < offsets.length; n += QUARTER_MINUTES) {
      const next = offsetAt(n + QUARTER_MINUTES);
      for (let k = n; k < n + QUARTER_MINUTES; k++) offsets[k] = next === offset ? offset : offsetAt(k);
      offset = next;
    }
    return offsets;
  }
}

/** @param text Such as `1/1/2024, GMT+10:30`; in UTC nothing follows `GMT`. */
function offsetIn(text: string): number {
  const match = /GMT(?:([+-]\d\d):(\d\d))?$/.exec(text);
  if (!match) throw new Error(`There is no offset in ${text}`);
  const [, hours = '+00', minutes = '00'] = match;
  return Number(hours) * 60 + Number(`${hours[0]}${minutes}`);
}

/** The ticks of a pattern in a clock's year, from an instant on. */
export function* ticksOf(
  text: string,
  clock: LocalClock,
  from = clock.startAt,
): Generator<number, undefined> {
  const pattern = readPattern(text);
  // Early enough to know which times were shown before.
  const first = Math.max(0, Math.floor((from - clock.startAt - 2 * DAY_MS) / MINUTE_MS));
  const minutes = (pattern.isTimesOfDay ? timesOfDay : shownTimes)(pattern, clock.shown, first);
  for (const { n, seconds } of minutes) {
    for (const second of seconds) {
      const tick = clock.startAt + n * MINUTE_MS + second * 1_000;
      if (tick >= from) yield tick;
    }
  }
}

/** The nth minute of the year, and its seconds that tick. */
interface TickingMinute {
  readonly n: number;
  readonly seconds: readonly number[];
}

/** Whenever the clocks show a time of the pattern. */
function* shownTimes(
  pattern: Pattern,
  shown: Int32Array,
  first: number,
): Generator<TickingMinute, undefined> {
  const isTime = timeMatcher(pattern);
  for (let n = first; n < shown.length; n++)
    if (isTime(shown[n] ?? Number.NaN)) yield { n, seconds: pattern.seconds };
}

/** Each time of each day once: when it is first shown, or after the clocks have skipped it. */
function* timesOfDay(
  pattern: Pattern,
  shown: Int32Array,
  first: number,
): Generator<TickingMinute, undefined> {
  const isTime = timeMatcher(pattern);
  let last = Infinity;
  for (let n = first; n < shown.length; n++) {
    const minute = shown[n] ?? Number.NaN;
    if (n > first && minute <= last) continue;
    const hasSkipped = minute > last + 1 && isTimeSkipped(isTime, last, minute);
    const seconds = isTime(minute) ? pattern.seconds : NONE;
    if (hasSkipped) yield { n, seconds: [...new Set([0, ...seconds])] };
    else if (seconds.length > 0) yield { n, seconds };
    last = minute;
  }
}

/** Whether a time was skipped before a minute. Only those of its own day: others are left out. */
function isTimeSkipped(isTime: TimeMatcher, last: LocalMinute, minute: LocalMinute): boolean {
  for (let skipped = last + 1; skipped < minute; skipped++)
    if (isTime(skipped) && dayOf(skipped) === dayOf(minute)) return true;
  return false;
}

const dayOf = (minute: LocalMinute): number => Math.floor(minute / DAY_MINUTES);

type TimeMatcher = (minute: LocalMinute) => boolean;

function timeMatcher(pattern: Pattern): TimeMatcher {
  const isTimeOfDay = Array.from(
    { length: DAY_MINUTES },
    (_, n) => pattern.hours.has(Math.floor(n / 60)) && pattern.minutes.has(n % 60),
  );
  const days = new Map<number, boolean>();
  return (minute) => {
    if (isTimeOfDay[minute % DAY_MINUTES] !== true) return false;
    const day = dayOf(minute);
    const known = days.get(day);
    if (known !== undefined) return known;
    const isOn = pattern.isOn(calendarDay(day));
    days.set(day, isOn);
    return isOn;
  };
}

/** @param day Counted from 1970-01-01. */
function calendarDay(day: number): CalendarDay {
  const date = new Date(day * DAY_MS);
  const month = date.getUTCMonth() + 1;
  return {
    day: date.getUTCDate(),
    month,
    weekday: date.getUTCDay(),
    monthLength: new Date(Date.UTC(date.getUTCFullYear(), month, 0)).getUTCDate(),
  };
}
