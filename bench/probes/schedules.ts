/** An engine with schedules of which none is due, or with one that ticks each second: what it takes of a CPU meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadEngine } from '../systems/engine.js';
import { serve } from './serve.js';

export interface SchedulesSetup {
  readonly engine: string;
  readonly directory: string;
  /** How many schedules there are that do not tick. */
  readonly idle: number;
  /** Whether one more ticks each second. */
  readonly ticks: boolean;
}

export interface SchedulesTurn {
  readonly forMs: number;
}

export interface SchedulesAnswer {
  /** CPU time per second of wall time. */
  readonly cpuMsPerSec: number;
  readonly latenessMs: readonly number[];
}

serve(async ({ engine, directory, idle, ticks }: SchedulesSetup) => {
  const { Millrace, defineJobs, inlineJob } = await loadEngine(engine);
  let latenessMs: number[] = [];
  const jobs = defineJobs({
    tick: inlineJob((_nothing: undefined, { scheduledFor = NaN }: { scheduledFor?: number }) => {
      latenessMs.push(Date.now() - scheduledFor);
    }),
  });
  const patterns = Array.from({ length: idle }, (_, i) => `${i % 60} ${Math.floor(i / 60) % 24} 1 1 *`);
  const schedules = Object.fromEntries(
    patterns.map((pattern, i) => [`idle-${i}`, { pattern, timezone: 'Europe/Berlin', job: 'tick' as const }]),
  );
  const second = { every: '1s', job: 'tick', misfire: 'all' } as const;
  const mill = await Millrace.open({
    directory,
    jobs,
    schedules: ticks ? { ...schedules, second } : schedules,
  });

  // V8 collects what it took to open so many when the process is idle: that is no cost of having them.
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();

  async function turn({ forMs }: SchedulesTurn): Promise<SchedulesAnswer> {
    latenessMs = [];
    const [used, startedAt] = [process.cpuUsage(), performance.now()];
    await sleep(forMs);
    const { user, system } = process.cpuUsage(used);
    const seconds = (performance.now() - startedAt) / 1_000;
    return { cpuMsPerSec: (user + system) / 1_000 / seconds, latenessMs };
  }
  return { turn, stop: () => mill.close({ timeout: 0 }) };
});
