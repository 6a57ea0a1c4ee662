/** What an operator is told of schedules that cannot be as they should. */
import { MillraceError } from '../errors.js';
import { ON_TIME_MS } from '../schedule/progress.js';

/** How many names a warning has at most. */
const MAX_NAMED = 5;

export function blocked(name: string, cause: Error): MillraceError {
  const reason = cause.message.replace(/\.$/, '');
  const message = `Schedule ${name} is due and cannot enqueue its job: ${reason}. It is tried again twice a minute`;
  return new MillraceError('MILLRACE_SCHEDULE_BLOCKED', message, { cause });
}

export function uncancelled(name: string, id: string, cause: Error): MillraceError {
  const message = `Schedule ${name} could not cancel its job ${id} before the next one: ${cause.message}`;
  return new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause });
}

export function ticksMissed(names: readonly string[]): MillraceError {
  const message = `Ticks were missed and are not made up for, as \`misfire\` says: ${listed(names)}`;
  return new MillraceError('MILLRACE_TICKS_MISSED', message);
}

/** @param afresh The schedules that do not wait until the clock is where it was. */
export function clockSetBack(behindMs: number, afresh: readonly string[]): MillraceError | undefined {
  if (behindMs < ON_TIME_MS && afresh.length === 0) return undefined;
  const rest = 'What has ticked does not tick again until the clock is where it was';
  const others = afresh.length > 0 ? `, but for ${listed(afresh)}, which start afresh` : '';
  const message = `The system clock is ${Math.round(behindMs / 1_000)} s behind what it was when schedules last ticked. ${rest}${others}`;
  return new MillraceError('MILLRACE_CLOCK_SET_BACK', message);
}

export function undeclared(names: readonly string[]): MillraceError {
  const message = `An earlier open() declared what this one does not: ${listed(names)}. Such go on until \`schedules.remove()\`, or \`pruneSchedules: true\`, removes them`;
  return new MillraceError('MILLRACE_SCHEDULE_UNDECLARED', message);
}

function listed(names: readonly string[]): string {
  const some = names.slice(0, MAX_NAMED).join(', ');
  return `${names.length === 1 ? 'schedule' : `${names.length} schedules:`} ${some}${names.length > MAX_NAMED ? ', …' : ''}`;
}
