/** How late the event loop is: the time between the ticks of a timer of 1 ms, so an idle loop shows about 1 ms. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Runs `work` and tells the 99th percentile meanwhile. */
export async function withLoopDelay<T>(work: () => Promise<T>): Promise<[T, number]> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  try {
    const result = await work();
    // A loop that was blocked to the end has not ticked yet: its last delay counts, too.
    await new Promise((resolve) => setImmediate(resolve));
    return [result, delay.percentile(99) / 1e6];
  } finally {
    delay.disable();
  }
}
