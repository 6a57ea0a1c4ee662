/** Random cron patterns of all the forms that are documented. Few of them tick all the time: people seldom write those. */
import type { Random } from '../crash/random.js';

/** A field, and how many of its values it names, from 0 to 1. */
interface Field {
  readonly text: string;
  readonly share: number;
}

interface Values {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
  /** Those that are picked more often, for something happens there. */
  readonly favourites?: readonly number[];
}

type Form = 'every' | 'one' | 'list' | 'range' | 'step' | 'rangeStep' | 'special';
type Forms = readonly [WeightedForm, ...WeightedForm[]];
interface WeightedForm {
  readonly form: Form;
  readonly weight: number;
}

const SECOND: Values = { min: 0, max: 59 };
const MINUTE: Values = { min: 0, max: 59, favourites: [0, 30] };
const HOUR: Values = { min: 0, max: 23 };
const DAY: Values = { min: 1, max: 31, favourites: [1, 29, 30, 31] };
const MONTH: Values = {
  min: 1,
  max: 12,
  names: 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' '),
};
/** Sunday is both 0 and 7. */
const WEEKDAY: Values = {
  min: 0,
  max: 7,
  names: 'SUN MON TUE WED THU FRI SAT SUN'.split(' '),
  favourites: [0, 7],
};

const SECOND_FORMS = forms({ every: 2, one: 10, list: 3, range: 1, step: 2, rangeStep: 1 });
const MINUTE_FORMS = forms({ every: 2, one: 10, list: 4, range: 1, step: 3, rangeStep: 1 });
const HOUR_FORMS = forms({ every: 3, one: 8, list: 5, range: 2, step: 3, rangeStep: 2 });
const DAY_FORMS = forms({ every: 7, one: 3, list: 3, range: 2, step: 2, rangeStep: 2, special: 5 });
const MONTH_FORMS = forms({ every: 12, one: 2, list: 2, range: 2, step: 2, rangeStep: 2 });
const WEEKDAY_FORMS = forms({ every: 7, one: 3, list: 3, range: 3, step: 2, rangeStep: 2, special: 5 });

const EVERY: Field = { text: '*', share: 1 };
const DAYS_PER_YEAR = 366;
/** Patterns that tick more often in a year are the rarer the more often they do. */
const USUAL_TICKS = 250;
/** So many of those that tick very often are kept at least. */
const LEAST_CHANCE = 0.04;

/**
 * A pattern of five or six fields.
 * @param hours Those that are to be picked more often.
 */
export function randomPattern(random: Random, hours: readonly number[]): string {
  for (;;) {
    const second = random.chance(0.3) ? anyField(random, SECOND, SECOND_FORMS) : undefined;
    const minute = anyField(random, MINUTE, MINUTE_FORMS);
    const hour = anyField(random, { ...HOUR, favourites: hours }, HOUR_FORMS);
    // The days on which clocks are set forward and back are few.
    const isDaily = random.chance(0.6);
    const day = isDaily ? EVERY : anyField(random, DAY, DAY_FORMS);
    const month = isDaily ? EVERY : anyField(random, MONTH, MONTH_FORMS);
    const weekday = isDaily ? EVERY : anyField(random, WEEKDAY, WEEKDAY_FORMS);
    // Where both are given, either is enough.
    const isEither = day.share < 1 && weekday.share < 1;
    const days = isEither ? Math.min(1, day.share + weekday.share) : day.share * weekday.share;
    const ticksPerDay = (second ? second.share * 60 : 1) * minute.share * 60 * hour.share * 24;
    const ticks = DAYS_PER_YEAR * month.share * days * ticksPerDay;
    if (random.chance(Math.max(LEAST_CHANCE, USUAL_TICKS / ticks)))
      return [...(second ? [second] : []), minute, hour, day, month, weekday]
        .map(({ text }) => text)
        .join(' ');
  }
}

function anyField(random: Random, values: Values, forms: Forms): Field {
  const { form } = random.weighted(forms);
  switch (form) {
    case 'every':
      return { text: random.chance(0.9) ? '*' : '?', share: 1 };
    case 'one':
      return anyOne(random, values);
    case 'list':
      return anyList(random, values);
    case 'range':
      return anyRange(random, values, false);
    case 'rangeStep':
      return anyRange(random, values, true);
    case 'step': {
      const step = random.integer(2, values.max - values.min);
      return { text: `*/${step}`, share: 1 / step };
    }
    default:
      return { text: values === DAY ? anySpecialDay(random) : anySpecialWeekday(random), share: 1 / 30 };
  }
}

function anyList(random: Random, values: Values): Field {
  const parts = Array.from({ length: random.integer(2, 4) }, () =>
    random.chance(0.8) ? anyOne(random, values) : anyRange(random, values, random.chance(0.5)),
  );
  return {
    text: parts.map(({ text }) => text).join(','),
    share: Math.min(
      1,
      parts.reduce((sum, { share }) => sum + share, 0),
    ),
  };
}

function anyOne(random: Random, values: Values): Field {
  const { min, max, favourites = [] } = values;
  const favourite = random.chance(0.5) ? favourites[random.integer(0, favourites.length - 1)] : undefined;
  const value = favourite ?? random.integer(min, max);
  return { text: named(random, values, value), share: 1 / (max - min + 1) };
}

function anyRange(random: Random, values: Values, hasStep: boolean): Field {
  const { min, max } = values;
  const from = random.integer(min, max - 1);
  const to = random.integer(from + 1, max);
  const step = hasStep ? random.integer(2, max - min) : 1;
  const text = `${named(random, values, from)}-${named(random, values, to)}${hasStep ? `/${step}` : ''}`;
  return { text, share: Math.ceil((to - from + 1) / step) / (max - min + 1) };
}

/** The last day of the month, or the weekday nearest a day. */
function anySpecialDay(random: Random): string {
  const day = (): string => anyOne(random, DAY).text;
  return random.pick(['L', 'LW', `${day()},L`, `${day()}W`, `${day()}W`, `${day()},${day()}W`]);
}

/** The nth such weekday of the month, or the last. */
function anySpecialWeekday(random: Random): string {
  const weekday = (): string => anyOne(random, WEEKDAY).text;
  const special = (): string => `${weekday()}${random.chance(0.5) ? 'L' : `#${random.integer(1, 5)}`}`;
  return random.pick([special(), special(), `${special()},${special()}`, `${weekday()},${special()}`]);
}

function named(random: Random, { min, names }: Values, value: number): string {
  const name = names && random.chance(0.4) ? names[value - min] : undefined;
  return name === undefined ? String(value) : random.chance(0.7) ? name : name.toLowerCase();
}

function forms({ every, ...rest }: Record<'every', number> & Partial<Record<Form, number>>): Forms {
  // Safe: the keys are those of the type.
  const others = Object.entries(rest) as [Form, number][];
  return [{ form: 'every', weight: every }, ...others.map(([form, weight]) => ({ form, weight }))];
}
