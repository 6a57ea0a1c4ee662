/**
 * The handler of all job types of the workload, in a thread or inline: it does what its payload says for its attempt,
 * and leaves evidence of its start and its end.
 */
import { pbkdf2Sync } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { UnrecoverableError, type JobContext } from '../../src/index.js';
import { tell, type Done, type Mark, type Step } from './facts.js';
import { isGarbled, type Heavy } from './payload.js';

/** What an attempt does. */
export type Act =
  | { readonly do: 'return' }
  | { readonly do: 'throw' }
  /** Throws what makes the job fail at once. */
  | { readonly do: 'giveUp' }
  /** Puts its job off, as often as it may. */
  | { readonly do: 'snooze'; readonly ms: number }
  /** Takes so long: awaiting, or keeping its thread busy. */
  | { readonly do: 'wait' | 'spin'; readonly ms: number }
  /** Goes on until it sees that it is to stop. */
  | { readonly do: 'poll' }
  /** Awaits that it is told to stop, and goes on for so long. */
  | { readonly do: 'listen'; readonly ms: number }
  /** Never ends: only the end of its thread does, and where native code is at work, that takes a while. */
  | { readonly do: 'block' | 'crunch' }
  /** Ends its thread, by itself or by taking more memory than there is for it. */
  | { readonly do: 'exit' | 'hoard' }
  /** Enqueues so many jobs that come with its completion, and goes on. */
  | { readonly do: 'follow'; readonly count: number; readonly next: Act }
  /** Keeps so many checkpoints, one after the other, from where an earlier attempt has come to, and goes on. */
  | { readonly do: 'keep'; readonly steps: number; readonly next: Act }
  /** Reports progress so many times. */
  | { readonly do: 'report'; readonly steps: number };

export interface Work extends Heavy {
  /** The file of facts. */
  readonly facts: string;
  /** Tells this payload from every other. */
  readonly token: string;
  /** The job's concurrency key. */
  readonly key?: string | undefined;
  /** One act per attempt; the last one from then on. */
  readonly acts: readonly [Act, ...Act[]];
}

/** Some 30 ms. */
const CRUNCH_ROUNDS = 40_000;

export default async function handle(work: Work, job: JobContext): Promise<Done> {
  const { facts, token, key, acts } = work;
  const { id, name, queue, attempt, maxAttempts, scheduledFor } = job;
  const { thread, living } = threads();
  const { pid } = process;
  const resumeFrom = resumedFrom(job);
  const own = {
    id,
    name,
    queue,
    attempt,
    maxAttempts,
    ...(scheduledFor !== undefined && { scheduledFor }),
    ...(resumeFrom && { resumeFrom }),
    ...(key !== undefined && { key }),
  };
  tell(facts, { kind: 'started', ...own, pid, thread, living });
  if (isGarbled(work)) tell(facts, { kind: 'garbled', id });
  const act = acts[attempt - 1] ?? acts.at(-1) ?? acts[0];
  try {
    await perform(act, job, facts);
    return { id, token, attempt };
  } finally {
    tell(facts, { kind: 'left', id, attempt, thread, ...(act.do === 'snooze' && { snoozedMs: act.ms }) });
  }
}

async function perform(act: Act, job: JobContext, facts: string): Promise<void> {
  switch (act.do) {
    case 'return':
      return;
    case 'throw':
      throw new Error('as it was told to');
    case 'giveUp':
      throw new UnrecoverableError('as it was told to');
    case 'snooze':
      job.snooze(act.ms);
      return;
    case 'wait':
      await wait(act.ms);
      return;
    case 'spin':
      for (const until = performance.now() + act.ms; performance.now() < until;);
      return;
    case 'poll':
      for (; ; sleep(1)) job.throwIfAborted();
    case 'listen':
      await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }));
      await wait(act.ms);
      return;
    case 'block':
      for (;;) sleep(1_000);
    case 'crunch':
      for (;;) pbkdf2Sync('secret', 'salt', CRUNCH_ROUNDS, 64, 'sha512');
    case 'exit':
      process.exit(1);
    case 'hoard':
      for (const hoard: unknown[] = []; ;) hoard.push(Array.from({ length: 1_000 }, () => ({})));
    case 'follow':
      for (let i = 0; i < act.count; i++) {
        const token = `${job.id}-${job.attempt}-${i}`;
        const { id: followUp } = await job.enqueue('tiny', { facts, token, acts: [{ do: 'return' }] });
        tell(facts, { kind: 'followedUp', id: job.id, followUp });
      }
      return perform(act.next, job, facts);
    case 'keep':
      for (let i = 1, { step } = resumedFrom(job) ?? { step: 0 }; i <= act.steps; i++) {
        const mark: Mark = { id: job.id, step: step + i };
        await job.checkpoint(mark);
        tell(facts, { kind: 'checkpointed', id: job.id, mark });
      }
      return perform(act.next, job, facts);
    case 'report':
      for (let step = 1; step <= act.steps; step++) {
        job.progress({ id: job.id, attempt: job.attempt, step } satisfies Step);
        await wait(1);
      }
      return;
    default:
      return act satisfies never;
  }
}

/** Safe: that is what handlers keep here. */
const resumedFrom = (job: JobContext): Mark | undefined => job.resumeFrom as Mark | undefined;

/** Synchronously, and without taking the processor from others. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** This thread, and all of the process, as Linux numbers them; elsewhere only this one is known to live. */
function threads(): { thread: number; living: number[] } {
  if (process.platform !== 'linux') return { thread: threadId, living: [threadId] };
  // A link to `<process>/task/<thread>`.
  const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  return { thread, living: readdirSync('/proc/self/task').map(Number) };
}
