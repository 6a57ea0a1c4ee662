/** What every step of a run has at hand. */
import { JobFailedError, type JobHandle } from 'millrace';
import type { Display } from './display.js';
import type { Engine } from './jobs.js';

export interface Work {
  readonly mill: Engine;
  /** The folder that results go to. */
  readonly output: string;
  readonly display: Display;
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal;
}

/** What a job came to, whichever process ran it. */
export type Ending<Result> = {
  /** How long the attempt that decided it took. */
  readonly durationMs: number;
  /** Epoch milliseconds. */
  readonly finishedAt: number;
} & (
  | { readonly kind: 'completed'; readonly result: Result }
  | { readonly kind: 'failed'; readonly reason: string }
);

/** Waits for a job to end. @throws the signal's reason; the job itself goes on. */
export async function endingOf<Result>(
  handle: JobHandle<string, Result>,
  signal: AbortSignal,
): Promise<Ending<Result>> {
  const outcome = await outcomeOf(handle, signal);
  const { startedAt = 0, finishedAt = 0 } = await handle.snapshot();
  return { ...outcome, durationMs: finishedAt - startedAt, finishedAt };
}

async function outcomeOf<Result>(handle: JobHandle<string, Result>, signal: AbortSignal) {
  try {
    return { kind: 'completed', result: await handle.result({ signal }) } as const;
  } catch (error) {
    if (!(error instanceof JobFailedError)) throw error;
    const { cause } = error;
    return { kind: 'failed', reason: cause instanceof Error ? cause.message : error.message } as const;
  }
}
