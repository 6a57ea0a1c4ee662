/** The handler of all job types of the soak, in a thread or inline: it does what its payload says. */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { UnrecoverableError, type JobContext } from '../../src/index.js';

/** What a job does. */
export type Act =
  /** Returns so many bytes. */
  | { readonly do: 'return'; readonly bytes: number }
  /** Reports its progress, waits so long, and returns next to nothing. */
  | { readonly do: 'wait'; readonly ms: number }
  /** Throws at its first attempts, so many of them. */
  | { readonly do: 'throw'; readonly times: number }
  /** Throws what makes the job fail at once. */
  | { readonly do: 'giveUp' }
  /** Waits until it is told to stop. */
  | { readonly do: 'listen' }
  /** Never ends: only the end of its thread does. */
  | { readonly do: 'block' }
  /** Ends its thread. */
  | { readonly do: 'exit' };

/** The most that a job takes or returns. */
export const MAX_BYTES = 300_000;

export interface Work {
  readonly act: Act;
  /** Makes the payload as large as it is to be. */
  readonly filling: Uint8Array;
}

/** What is handed back, as little compressible as pictures are. */
const noise = randomBytes(MAX_BYTES);

export default async function handle({ act, filling }: Work, job: JobContext): Promise<unknown> {
  switch (act.do) {
    case 'return':
      return { took: filling.byteLength, filling: noise.subarray(0, act.bytes) };
    case 'wait':
      job.progress({ percent: 50 });
      await wait(act.ms, undefined, { signal: job.signal });
      return { took: filling.byteLength };
    case 'throw':
      if (job.attempt <= act.times) throw new Error('as it was told to');
      return { took: filling.byteLength };
    case 'giveUp':
      throw new UnrecoverableError('as it was told to');
    case 'listen':
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }));
      return undefined;
    case 'block':
      for (const nothing = new Int32Array(new SharedArrayBuffer(4)); ;) Atomics.wait(nothing, 0, 0, 1_000);
    case 'exit':
      process.exit(1);
    default:
      return act satisfies never;
  }
}
