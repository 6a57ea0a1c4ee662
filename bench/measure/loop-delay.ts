/** How late the event loop is: the time between the ticks of a timer of 1 ms, so an idle loop shows about 1 ms. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

/** Long enough for the timer to tick: before the work for a tick to count from, after it for the last delay. */
const TICK_MS = 3;

export interface LoopDelay {
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
}

/** Runs `work` and tells the delay meanwhile. */
export async function withLoopDelay<T>(work: () => Promise<T>): Promise<[T, LoopDelay]> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await sleep(TICK_MS);
  delay.reset();
  await sleep(TICK_MS);
  try {
    const result = await work();
    await sleep(TICK_MS);
    return [result, { loopP99Ms: delay.percentile(99) / 1e6, loopMaxMs: delay.max / 1e6 }];
  } finally {
    delay.disable();
  }
}
