/** How a system is given work: the same loops for all of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { withLoopDelay } from '../measure/loop-delay.js';
import type { Loop, MakePayload, Rate, System } from '../systems/contract.js';

export type Command =
  | ({ readonly drive: 'loop' } & Loop)
  | ({ readonly drive: 'add' } & Loop)
  | ({ readonly drive: 'addMany'; readonly arrayLength: number } & Loop)
  | { readonly drive: 'latency'; readonly samples: number; readonly gapMs: number };

/** Calls `once` in so many loops, each as soon as its last call is through. */
async function loops(
  { forMs = Infinity, jobs = Infinity, inFlight }: Loop,
  payload: MakePayload,
  once: (payload: object) => Promise<unknown>,
): Promise<number> {
  const until = performance.now() + forMs;
  let started = 0;
  const running = Array.from({ length: inFlight }, async () => {
    while (started < jobs && performance.now() < until) await once(payload(started++));
  });
  await Promise.all(running);
  return started;
}

async function rate(work: () => Promise<number>): Promise<Rate> {
  const startedAt = performance.now();
  const [[jobs, elapsedMs], { loopP99Ms }] = await withLoopDelay(
    async () => [await work(), performance.now() - startedAt] as const,
  );
  return { jobs, perSec: (jobs * 1_000) / elapsedMs, loopP99Ms };
}

/** The same with arrays. */
async function addArrays(
  loop: Loop,
  arrayLength: number,
  payload: MakePayload,
  addMany: (payloads: readonly object[]) => Promise<unknown>,
): Promise<number> {
  const array = (first: number): object[] =>
    Array.from({ length: arrayLength }, (_, i) => payload(first * arrayLength + i));
  // Safe: `array` made it.
  const arrays = await loops(loop, array, (payloads) => addMany(payloads as object[]));
  return arrays * arrayLength;
}

/** One at a time, with a pause before each, so that an idle engine is what answers. */
async function latencies(
  run: (payload: object) => Promise<unknown>,
  { samples, gapMs }: { samples: number; gapMs: number },
  payload: MakePayload,
): Promise<readonly number[]> {
  const tookMs: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    await sleep(gapMs);
    const startedAt = performance.now();
    await run(payload(sample));
    tookMs.push(performance.now() - startedAt);
  }
  return tookMs;
}

export async function drive(system: System, command: Command, payload: MakePayload): Promise<unknown> {
  switch (command.drive) {
    case 'loop': {
      const { loop, run } = system;
      if (loop) return rate(() => loop(command, payload));
      return rate(() => loops(command, payload, needed(run, 'run')));
    }
    case 'add':
      return rate(() => loops(command, payload, needed(system.add, 'add')));
    case 'addMany':
      return rate(() => addArrays(command, command.arrayLength, payload, needed(system.addMany, 'addMany')));
    case 'latency':
      return latencies(needed(system.run, 'run'), command, payload);
    default:
      throw new TypeError(`Expected a drive, got: ${JSON.stringify(command satisfies never)}`);
  }
}

function needed<F>(method: F | undefined, name: string): F {
  if (method) return method;
  throw new Error(`has no \`${name}\``);
}
