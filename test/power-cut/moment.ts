/** When the power is cut: mostly where it hurts. A moment is a line of the trace; it happens before that. */
import type { Random } from '../crash/random.js';
import { lastBegan, type File, type History, type Renaming } from './history.js';
import { acknowledgements, isJournal, type Recording } from './recording.js';

export function drawMoment(recording: Recording, random: Random): number {
  const { history, ends } = recording;
  const last = ends.at(-1) ?? 0;
  const syncs = [...history.names].flatMap(([name, { syncs }]) => (isJournal(name) ? syncs : []));
  const { moments } = random.weighted<{ weight: number; moments: () => number[] }>([
    { weight: 4, moments: () => acknowledgements(recording) },
    { weight: 2, moments: () => syncs.map(({ endedAt }) => endedAt) },
    { weight: 1, moments: () => syncs.map(({ beganAt }) => beganAt) },
    { weight: 1, moments: () => soonAfter(history.renamings, random) },
    { weight: 3, moments: () => betweenLogs(history, random) },
    { weight: 1, moments: () => [random.integer(0, last)] },
  ]);
  const [first = 0, ...rest] = moments();
  return Math.min(last, random.pick([first, ...rest]) + 1);
}

/** How many lines later is still soon. */
const SOON = 400;
const soonAfter = (renamings: readonly Renaming[], random: Random): number[] =>
  renamings.map(({ beganAt }) => beganAt + random.integer(0, SOON));

interface Log {
  readonly name: string;
  readonly file: File;
  readonly madeAt: number;
}

/**
 * LevelDB leaves a full log for another one without syncing it, and removes it when its table is on disk. In between,
 * later writes can be certain to last and earlier ones not: if that ever was so, it happens then.
 */
function betweenLogs({ renamings }: History, random: Random): number[] {
  const logs = renamings.flatMap(({ names, beganAt }) =>
    [...names].flatMap(([name, file]): Log[] =>
      file && name.endsWith('.log') ? [{ name, file, madeAt: beganAt }] : [],
    ),
  );
  const spans = logs.slice(1).map((log, i) => {
    // Safe: there is one before each of these.
    const { name, file } = logs[i] as Log;
    const removal = renamings.find(({ names }) => names.has(name) && names.get(name) === undefined);
    const until = removal?.beganAt ?? log.madeAt;
    const overtakenAt = isWhole(file) ? Infinity : (log.file.syncs[0]?.endedAt ?? Infinity);
    return { from: log.madeAt, until, overtakenAt };
  });
  const overtaken = spans.filter(({ overtakenAt, until }) => overtakenAt < until);
  if (overtaken.length === 0) return spans.map(({ from, until }) => random.integer(from, until));
  return overtaken.map(({ overtakenAt, until }) => random.integer(overtakenAt, until));
}

const isWhole = ({ writes, syncs }: File): boolean =>
  writes.every(({ endedAt }) => endedAt <= lastBegan(syncs, Infinity));
