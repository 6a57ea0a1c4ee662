/** How late the event loop is: what everybody else in the process has to wait. */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';

/** In milliseconds. */
export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What one part of the work took. */
export interface Measure {
  readonly wallMs: number;
  readonly delay: LoopDelay;
}

const RESOLUTION_MS = 5;
const NS_PER_MS = 1e6;

/** Runs `work` and tells how long it took, and how late the event loop was meanwhile. */
export async function measure<Value>(work: () => Promise<Value>): Promise<[Value, Measure]> {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const startedAt = performance.now();
  histogram.enable();
  try {
    const value = await work();
    const wallMs = performance.now() - startedAt;
    // What blocked the loop to the very end is seen when it turns again: its timers come after its immediates.
    await setImmediate();
    await setImmediate();
    return [value, { wallMs, delay: delayOf(histogram) }];
  } finally {
    histogram.disable();
  }
}

const late = (ns: number): number => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS);

/** The histogram holds the time from one look to the next; what is late is what exceeds the time agreed. */
function delayOf(histogram: IntervalHistogram): LoopDelay {
  // The work was shorter than the time from look to look.
  if (histogram.count === 0) return { p50: 0, p99: 0, max: 0 };
  return {
    p50: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    max: late(histogram.max),
  };
}
