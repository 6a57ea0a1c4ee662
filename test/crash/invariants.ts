/** What never happens, whatever is killed when: one list. A feature of the engine's adds its invariant here. */
import { withUndone } from './again.js';
import { overSize, refusedInVain, refusedStayed } from './bounds.js';
import { blamed } from './blame.js';
import { checkpointLost } from './checkpoints.js';
import { expiredFalsely, startedLate } from './deadlines.js';
import type { Evidence, Finding, Invariant } from './evidence.js';
import { flowBroken, flowStuck } from './flows.js';
import { followUpsDoubled, followUpsLeaked, followUpsLost } from './follow-ups.js';
import { cancelsLost, promotesLost, removalsUndone, retriesLost } from './handled.js';
import { plainId } from './ids.js';
import { uniqueKeysDoubled, uniqueKeysLeaked } from './keys.js';
import { tellLives } from './lives.js';
import { ranWhilePaused } from './pauses.js';
import { announcedTwice, goneEarly, lost, misreported, mixedUp, stranded, torn } from './promises.js';
import { overRate } from './rates.js';
import {
  backEarly,
  finishedTwice,
  ghosts,
  miscounted,
  overKeyLimit,
  overLimit,
  ranConcurrently,
  ranWhileClosed,
} from './runs.js';
import { misreportedRuns, ticksDoubled, ticksInvented, ticksLost } from './ticks.js';
import { misupgraded } from './versions.js';
import { broke, counterDrift, leftover, troubled, unreadable } from './upkeep.js';
import { debouncedWrong, throttledWrong } from './windows.js';

export const INVARIANTS: readonly Invariant[] = [
  { name: 'lost', check: lost },
  { name: 'goneEarly', check: goneEarly },
  { name: 'stranded', check: stranded },
  { name: 'torn', check: torn },
  { name: 'mixedUp', check: mixedUp },
  { name: 'misreported', check: (found) => [...misreported(found), ...misreportedRuns(found)] },
  { name: 'announcedTwice', check: announcedTwice },
  { name: 'finishedTwice', check: finishedTwice },
  { name: 'ranConcurrently', check: ranConcurrently },
  { name: 'overLimit', check: overLimit },
  { name: 'overKeyLimit', check: overKeyLimit },
  { name: 'overRate', check: overRate },
  { name: 'overSize', check: overSize },
  { name: 'refusedStayed', check: refusedStayed },
  { name: 'refusedInVain', check: refusedInVain },
  { name: 'miscounted', check: miscounted },
  { name: 'backEarly', check: backEarly },
  { name: 'blamed', check: blamed },
  { name: 'ranWhileClosed', check: ranWhileClosed },
  { name: 'ranWhilePaused', check: ranWhilePaused },
  { name: 'misupgraded', check: misupgraded },
  { name: 'startedLate', check: startedLate },
  { name: 'expiredFalsely', check: expiredFalsely },
  { name: 'flowStuck', check: flowStuck },
  { name: 'flowBroken', check: flowBroken },
  { name: 'followUpsLost', check: followUpsLost },
  { name: 'followUpsDoubled', check: followUpsDoubled },
  { name: 'followUpsLeaked', check: followUpsLeaked },
  { name: 'checkpointLost', check: checkpointLost },
  { name: 'retriesLost', check: retriesLost },
  { name: 'cancelsLost', check: cancelsLost },
  { name: 'removalsUndone', check: removalsUndone },
  { name: 'promotesLost', check: promotesLost },
  { name: 'ghosts', check: ghosts },
  { name: 'ticksLost', check: ticksLost },
  { name: 'ticksDoubled', check: ticksDoubled },
  { name: 'ticksInvented', check: ticksInvented },
  { name: 'uniqueKeysLeaked', check: uniqueKeysLeaked },
  { name: 'uniqueKeysDoubled', check: uniqueKeysDoubled },
  { name: 'debouncedWrong', check: debouncedWrong },
  { name: 'throttledWrong', check: throttledWrong },
  { name: 'counterDrift', check: counterDrift },
  { name: 'leftover', check: leftover },
  { name: 'unreadable', check: unreadable },
  { name: 'troubled', check: troubled },
  { name: 'broke', check: broke },
];

export interface Violation extends Finding {
  readonly invariant: string;
}

export function findViolations({ facts: recorded, contents, terms }: Evidence): Violation[] {
  const lives = tellLives({ facts: recorded, terms });
  const facts = withUndone(lives.facts);
  const found = { facts, contents, terms, lives, endAt: facts.at(-1)?.at ?? 0 };
  return INVARIANTS.flatMap(({ name, check }) =>
    check(found).map(({ id, message }) => ({
      invariant: name,
      message,
      ...(id !== undefined && { id: plainId(id) }),
    })),
  );
}
