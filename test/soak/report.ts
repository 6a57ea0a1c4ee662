/** What a soak came to: one object, and the reasons why it is not flat. */
import { growth, median, slopePerMinute, type Point, type Tolerance } from './flatness.js';
import { MAX_WAITING } from './load.js';
import type { Sample } from './samples.js';
import type { Tally } from './tally.js';

/** Until then caches fill, code is compiled, and the first jobs have not been kept to their end. */
const WARM_UP_MINUTES = 1;

/**
 * What is still flat. A full collection leaves the heap exact to some hundred kilobytes. The resident set is the
 * allocator's affair as well, which keeps some of what threads that were ended had. Threads are ended and replaced all
 * the time; LevelDB opens and closes tables, and between two compactions the journal grows and shrinks.
 */
const TOLERANCES: Readonly<Record<Watched, Tolerance>> = {
  heapMb: { share: 0.03, constant: 1 },
  rssMb: { share: 0.1, constant: 10 },
  threads: { share: 0, constant: 2 },
  handles: { share: 0, constant: 4 },
  openFiles: { share: 0, constant: 10 },
  journalMb: { share: 0.15, constant: 8 },
};

type Watched = 'heapMb' | 'rssMb' | 'threads' | 'handles' | 'openFiles' | 'journalMb';

/**
 * What the journal takes at most, for what it retains: twice that, and what LevelDB writes before it sorts and compacts
 * (its log, the table that it writes, and those of its first two levels).
 */
export const JOURNAL_BOUND = { factor: 2, constantMb: 64 } as const;

export interface Report {
  readonly minutes: number;
  readonly jobs: number;
  readonly failures: number;
  readonly timeouts: number;
  readonly threadKills: number;
  readonly heapMb: Range & { readonly slopePerMinute: number };
  readonly rssMb: Range;
  readonly threads: Range;
  readonly handles: Range;
  readonly openFiles: Range;
  readonly journalMb: Range & { readonly max: number; readonly retained: number; readonly bound: number };
  readonly retainedJobs: number;
  readonly bytesPerRetainedJob: number;
  readonly flat: boolean;
}

/** Medians of the first and the last tenth behind the first minute. */
interface Range {
  readonly first: number;
  readonly last: number;
}

export function report(
  samples: readonly Sample[],
  tally: Tally,
  { retainedBytes, bytesPerJob }: { readonly retainedBytes: number; readonly bytesPerJob: number },
): { readonly report: Report; readonly reasons: readonly string[] } {
  const minutes = samples.at(-1)?.minute ?? 0;
  const warm = samples.filter(({ minute }) => minute >= Math.min(WARM_UP_MINUTES, minutes / 4));
  const pointsOf = (what: keyof Sample): Point[] =>
    warm.map((one) => ({ minute: one.minute, value: one[what] }));
  const range = (what: keyof Sample): Range => {
    const values = warm.map((one) => one[what]);
    const tenth = Math.max(1, Math.floor(values.length / 10));
    return { first: rounded(median(values.slice(0, tenth))), last: rounded(median(values.slice(-tenth))) };
  };
  const maxJournalMb = Math.max(...samples.map(({ journalMb }) => journalMb));
  const retainedMb = retainedBytes / 2 ** 20;
  const bound = JOURNAL_BOUND.factor * retainedMb + JOURNAL_BOUND.constantMb;
  const reasons = Object.entries(TOLERANCES).flatMap(([what, tolerance]) =>
    // Safe: these are the names of TOLERANCES.
    growth(what, pointsOf(what as Watched), tolerance),
  );
  if (maxJournalMb > bound)
    reasons.push(`The journal took ${rounded(maxJournalMb)} MB; expected at most ${rounded(bound)} MB`);
  const mostLive = Math.max(...samples.map(({ liveJobs }) => liveJobs));
  if (mostLive > 2 * MAX_WAITING) reasons.push(`${mostLive} jobs were waiting or running at once`);
  for (const [warning, times] of tally.warnings) reasons.push(`The engine warned ${times} times: ${warning}`);
  return {
    reasons,
    report: {
      minutes: rounded(minutes),
      jobs: tally.jobs,
      failures: tally.failures,
      timeouts: tally.timeouts,
      threadKills: tally.threadKills,
      heapMb: { ...range('heapMb'), slopePerMinute: rounded(slopePerMinute(pointsOf('heapMb')), 1_000) },
      rssMb: range('rssMb'),
      threads: range('threads'),
      handles: range('handles'),
      openFiles: range('openFiles'),
      journalMb: {
        ...range('journalMb'),
        max: rounded(maxJournalMb),
        retained: rounded(retainedMb),
        bound: rounded(bound),
      },
      retainedJobs: Math.round(median(warm.map(({ retainedJobs }) => retainedJobs))),
      bytesPerRetainedJob: Math.round(bytesPerJob),
      flat: reasons.length === 0,
    },
  };
}

const rounded = (value: number, parts = 10): number => Math.round(value * parts) / parts;
