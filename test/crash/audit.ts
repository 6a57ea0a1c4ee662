/**
 * The last process: `audit.js JOURNAL FACTS DURABILITY`. It opens the journal, lets everything in it run to its end,
 * tells what the engine counts, and closes.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Durability } from '../../src/index.js';
import { jobIdIn } from '../../src/job/payload-file.js';
import { PAYLOADS } from '../../src/journal/payload-files.js';
import { queues, type Engine, type Tuning } from './catalogue.js';
import { tell } from './facts.js';
import type { AskedSchedule } from './rhythm-model.js';
import { SCHEDULES, type ScheduleName } from './schedules.js';
import { Session } from './session.js';

const [, , journal = '', facts = '', durability] = process.argv;

const TUNING: Tuning = { threads: { count: 2, batchSize: 100, maxHeapMb: 64 }, selection: 'weighted' };

/** How long the schedules go on. */
const TICKING_MS = 500;

/** Has them make up for what was missed, and go on for a while; then they are over. */
async function endSchedules(session: Session): Promise<void> {
  const endAt = Date.now() + TICKING_MS;
  for (const { name, everyMs, pattern } of await session.engine.schedules.list()) {
    // Safe: these are all there are.
    const known = SCHEDULES[name as ScheduleName].as as readonly AskedSchedule[];
    const as = known.find((one) => one.pattern === pattern && one.every === everyMs) ?? known[0];
    await session.change(name as ScheduleName, 'upsert', { ...as, endAt });
    await session.change(name as ScheduleName, 'resume');
  }
}

/** Drained is not enough: jobs that are due later, or again, and schedules that go on, count as well. */
async function allEnded(engine: Engine): Promise<void> {
  for (;;) {
    // Subscribed first, so that no end is missed in between. The last of a schedule's jobs ends behind its last tick.
    const oneEnded = nextEnd(engine);
    const schedules = await engine.schedules.list();
    const { waiting, scheduled, available, running, retryable } = await engine.counts();
    const open = waiting + scheduled + available + running + retryable;
    if (open === 0 && schedules.every(({ state }) => state === 'over')) return;
    await oneEnded;
  }
}

/** How long the engine has to sweep what earlier processes have left. */
const SWEPT_MS = 10_000;

/** Files whose jobs are gone are looked for once an engine is open, and left for the next one where it closes first. */
async function allSwept(engine: Engine, directory: string): Promise<void> {
  for (const until = Date.now() + SWEPT_MS; Date.now() < until; await wait(20))
    if (!(await hasStrays(engine, directory))) return;
}

async function hasStrays(engine: Engine, directory: string): Promise<boolean> {
  for (const name of existsSync(directory) ? await readdir(directory) : []) {
    // It may go at any moment.
    const contents = await readFile(join(directory, name)).catch(() => undefined);
    const id = contents && jobIdIn(contents);
    if (contents && (id === undefined || !(await engine.job(id)))) return true;
  }
  return false;
}

const nextEnd = (engine: Engine): Promise<void> =>
  new Promise((resolve) => {
    const stops = (['completed', 'failed', 'cancelled'] as const).map((event) =>
      engine.on(event, () => {
        for (const stop of stops) stop();
        resolve();
      }),
    );
  });

// The harness passes one of the two.
const place = { journal, facts, durability: durability as Durability, heavy: 0, tuning: () => TUNING };
const session = new Session(place, (fact) => tell(facts, fact));
await session.open();
await endSchedules(session);
// By now whatever was not paused has begun.
await session.resumeAll();
await allEnded(session.engine);
await session.engine.drain();
await allSwept(session.engine, join(journal, PAYLOADS));
tell(facts, { kind: 'counted', counts: await session.engine.counts() });
// Safe: these are the names that the engine was opened with.
for (const queue of Object.keys(queues) as (keyof typeof queues)[]) {
  tell(facts, { kind: 'counted', queue, counts: await session.engine.counts(queue) });
}
await session.close(0);
