/** What the jobs of a plan came to. */
import type { ResizeImageResult } from 'millrace/workers/resize-image';
import type { PlannedJob } from './plan.js';

export interface Made {
  readonly kind: 'made';
  readonly job: PlannedJob;
  /** The id that the job has in the journal. */
  readonly id: string;
  readonly result: ResizeImageResult;
  /** How long the attempt that made it took. */
  readonly durationMs: number;
  /** Epoch milliseconds. */
  readonly finishedAt: number;
}

export interface NotMade {
  readonly kind: 'failed';
  readonly job: PlannedJob;
  readonly id: string;
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly finishedAt: number;
}

export type Outcome = Made | NotMade;

export const isMade = (outcome: Outcome): outcome is Made => outcome.kind === 'made';

export function bytesOf(outcomes: readonly Outcome[]): number {
  return outcomes.filter(isMade).reduce((sum, { result }) => sum + (result.outputs[0]?.bytes ?? 0), 0);
}

/** Each image that failed, once, though all its sizes may have failed for the same reason. */
export function failuresOf(outcomes: readonly Outcome[]): { name: string; reason: string }[] {
  const reasons = new Map<string, string>();
  for (const outcome of outcomes) {
    const { name } = outcome.job.image;
    if (!isMade(outcome) && !reasons.has(name)) reasons.set(name, outcome.reason);
  }
  return [...reasons].map(([name, reason]) => ({ name, reason }));
}
