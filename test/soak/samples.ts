/** What a process with an engine takes at a moment: memory, threads, handles, files, disk. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './catalogue.js';

export interface Sample {
  /** Since the start. */
  readonly minute: number;
  /** What is left behind a full collection. */
  readonly heapMb: number;
  readonly rssMb: number;
  /** Of the operating system. */
  readonly threads: number;
  /** What keeps the event loop busy, without requests and timers, which come and go. */
  readonly handles: number;
  readonly openFiles: number;
  readonly journalMb: number;
  /** Jobs that have ended and are kept. */
  readonly retainedJobs: number;
  /** All others. */
  readonly liveJobs: number;
}

const MB = 2 ** 20;
const PASSING = /Timeout|Immediate|Req|Wrap\(\)|TickObject/;

export async function takeSample(
  engine: Engine,
  directory: string,
  minute: number,
  collect: () => void,
): Promise<Sample> {
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  const { completed, failed, cancelled, ...others } = await engine.counts();
  return {
    minute,
    heapMb: heapUsed / MB,
    rssMb: rss / MB,
    threads: entriesOf('/proc/self/task'),
    handles: process.getActiveResourcesInfo().filter((kind) => !PASSING.test(kind)).length,
    openFiles: entriesOf('/proc/self/fd'),
    journalMb: bytesIn(directory) / MB,
    retainedJobs: completed + failed + cancelled,
    liveJobs: Object.values(others).reduce((sum, count) => sum + count, 0),
  };
}

/** 0 where the system does not tell. */
function entriesOf(directory: string): number {
  return process.platform === 'linux' ? readdirSync(directory).length : 0;
}

export function bytesIn(directory: string): number {
  let bytes = 0;
  for (const file of readdirSync(directory)) {
    // One that was just compacted away takes nothing.
    bytes += statSync(join(directory, file), { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}
