/** Reads cron patterns for the oracle: written from what the engine documents, and not from how croner does it. */

/** A day of the calendar, whichever zone it is in. Weekdays count from 0, Sunday. */
export interface CalendarDay {
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
  /** How many days its month has. */
  readonly monthLength: number;
}

export interface Pattern {
  readonly seconds: readonly number[];
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  /** Certain times of the day, for it has no `*`, `?` or step there. */
  readonly isTimesOfDay: boolean;
  isOn(day: CalendarDay): boolean;
}

type DayRule = (day: CalendarDay) => boolean;

const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');
const WEEKDAYS = 'SUN MON TUE WED THU FRI SAT'.split(' ');

/** @param text Five fields, or six with seconds. */
export function readPattern(text: string): Pattern {
  const fields = text.split(' ');
  if (fields.length === 5) fields.unshift('0');
  const [second = '', minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const hours = read(hour, 0, 23);
  const months = read(month, 1, 12, MONTHS);
  const isDay = dayRule(day);
  const isWeekday = weekdayRule(weekday);
  const isEither = !isEvery(day) && !isEvery(weekday);
  return {
    seconds: [...read(second, 0, 59)].sort((a, b) => a - b),
    minutes: read(minute, 0, 59),
    hours,
    isTimesOfDay: ![second, minute, hour].some((field) => /[*?/]/.test(field)),
    isOn: (date) =>
      months.has(date.month) && (isEither ? isDay(date) || isWeekday(date) : isDay(date) && isWeekday(date)),
  };
}

const isEvery = (field: string): boolean => field === '*' || field === '?';

function dayRule(field: string): DayRule {
  return anyOf(field, (part) => {
    if (part === 'L') return ({ day, monthLength }) => day === monthLength;
    if (part === 'LW') return (date) => date.day === nearestWeekday(date, date.monthLength);
    const near = /^(\d+)W$/.exec(part)?.[1];
    if (near !== undefined) return (date) => date.day === nearestWeekday(date, Number(near));
    const days = read(part, 1, 31);
    return ({ day }) => days.has(day);
  });
}

/** The day from Monday to Friday that is nearest to a day, in the same month. */
function nearestWeekday({ day, weekday, monthLength }: CalendarDay, to: number): number | undefined {
  if (to > monthLength) return undefined;
  const weekdayOf = (other: number): number => (weekday + other - day + 35) % 7;
  return [to, to - 1, to + 1, to - 2, to + 2]
    .filter((other) => other >= 1 && other <= monthLength)
    .find((other) => weekdayOf(other) !== 0 && weekdayOf(other) !== 6);
}

function weekdayRule(field: string): DayRule {
  return anyOf(field, (part) => {
    const [, name = part, nth, last] = /^(\w+?)(?:#(\d)|(L))$/.exec(part) ?? [];
    // Sunday is also the 7th day, so that a range can end there.
    const weekdays = read(name.replace('-SUN', '-7'), 0, 7, WEEKDAYS);
    if (weekdays.has(7)) weekdays.add(0);
    return ({ day, weekday, monthLength }) =>
      weekdays.has(weekday) &&
      (nth === undefined || Math.ceil(day / 7) === Number(nth)) &&
      (last === undefined || day > monthLength - 7);
  });
}

function anyOf(field: string, ruleOf: (part: string) => DayRule): DayRule {
  const rules = field.toUpperCase().split(',').map(ruleOf);
  return (date) => rules.some((rule) => rule(date));
}

/** The numbers that a field names: a list of `*`, `5` and `1-5`, the first and the last with or without a step. */
function read(field: string, min: number, max: number, names: readonly string[] = []): Set<number> {
  const numberOf = (name: string): number => {
    const number = names.includes(name) ? names.indexOf(name) + min : Number(name);
    if (!Number.isInteger(number)) throw new Error(`The oracle cannot read ${field}`);
    return number;
  };
  const numbers = new Set<number>();
  for (const part of field.toUpperCase().split(',')) {
    const [range = '', step = '1'] = part.split('/');
    const [from = '', to = from] = isEvery(range) ? [String(min), String(max)] : range.split('-');
    for (let number = numberOf(from); number <= numberOf(to); number += numberOf(step)) numbers.add(number);
  }
  return numbers;
}
