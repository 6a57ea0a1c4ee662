/** Rate limits across restarts, where the clock was set while the process lived, or the limit became another. */
import { expect, test } from 'vitest';
import { inlineJob, type RateLimit } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { KillableStore } from '../fixtures/killable-store.js';
import { Recorder } from '../fixtures/recorder.js';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const STEP = MINUTE / 32;
/** So often it is looked whether the clock was set. */
const LOOK = 10_000;

/** Turns of the event loop in which an engine on a memory store does all that it can. */
async function idle(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await new Promise((resolve) => setImmediate(resolve));
}

/** An app that is started again and again, with a limit of a type and of its keys. */
function app(clock: FakeClock) {
  const disk = new MemoryDisk();
  const starts = new Recorder<number>();
  const start = async (rateLimit: RateLimit) => {
    const begin = (): void => starts.push(clock.monotonic());
    const work = inlineJob(begin, { rateLimit });
    const perKey = inlineJob(begin, { rateLimitPerKey: rateLimit });
    const fragile = new FragileStore(openMemoryStore(disk));
    const store = new KillableStore(fragile);
    return { ...(await openJobs(store, { work, perKey }, { clock, places: 9 })), store, fragile };
  };
  return { starts, start };
}

const many = (name: 'work' | 'perKey', count: number) =>
  Array.from({ length: count }, () => ({ name, payload: undefined, options: { concurrencyKey: 'a' } }));

const PER_MINUTE = { max: 2, per: '1m' } as const;

test.each([
  ['work', 'set forward, and closed', 0, HOUR, 0, 'close'],
  ['work', 'set back, put right, and closed', -HOUR, HOUR, 0, 'close'],
  ['perKey', 'set forward, and closed', 0, HOUR, 0, 'close'],
  ['work', 'set forward, noticed, and killed', 0, HOUR, LOOK, 'kill'],
  ['work', 'set back, put right, noticed, and killed', -HOUR, HOUR, LOOK, 'kill'],
  ['perKey', 'set forward, noticed, and killed', 0, HOUR, LOOK, 'kill'],
  ['work', 'set back, noticed, and killed', 0, -HOUR, LOOK, 'kill'],
] as const)(
  'a clock that is set while the process lives makes no room after it: %s, %s',
  async (name, _how, beforeMs, afterMs, lookMs, end) => {
    const clock = new FakeClock();
    const { starts, start } = app(clock);
    const first = await start(PER_MINUTE);
    clock.jump(beforeMs);
    await first.engine.enqueueMany(many(name, 5));
    await starts.reached(2);
    await idle();
    clock.jump(afterMs);
    await clock.advance(lookMs);
    await idle();
    if (end === 'kill') first.store.die();
    else await first.engine.close(0);
    const second = await start(PER_MINUTE);
    await idle();
    expect(starts.all).toHaveLength(2);
    await clock.advance(MINUTE - lookMs - 10);
    await idle();
    expect(starts.all).toHaveLength(2);
    // Nor does it keep anybody for longer.
    await clock.advance(STEP + 20);
    await starts.reached(4);
    await second.engine.close(0);
  },
);

test('it is noticed once the journal takes it', async () => {
  const clock = new FakeClock();
  const { starts, start } = app(clock);
  const first = await start(PER_MINUTE);
  await first.engine.enqueueMany(many('work', 3));
  await starts.reached(2);
  await idle();
  clock.jump(HOUR);
  first.fragile.writes = 'lost';
  await clock.advance(LOOK);
  await first.warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_WRITE_FAILED');
  first.fragile.writes = undefined;
  await clock.armed(100);
  await clock.advance(100);
  await first.warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  await clock.advance(LOOK);
  await idle();
  first.store.die();
  await start(PER_MINUTE);
  await idle();
  expect(starts.all).toHaveLength(2);
});

test('a limit that has become another holds at once, by its own time', async () => {
  const clock = new FakeClock();
  const { starts, start } = app(clock);
  const first = await start({ max: 1, per: '1d' });
  await first.engine.enqueueMany(many('work', 1));
  await starts.reached(1);
  await first.engine.close(0);
  const second = await start({ max: 5, per: '1s' });
  await second.engine.enqueueMany(many('work', 9));
  await starts.reached(5);
  await idle();
  expect(starts.all).toHaveLength(5);
  await clock.advance(1_100);
  await starts.reached(10);
  await second.engine.drain();
  await second.engine.close(0);
  const third = await start({ max: 3, per: '1h' });
  await third.engine.enqueueMany(many('work', 2));
  await idle();
  expect(starts.all).toHaveLength(10);
  await clock.advance(HOUR + HOUR / 32 + 10);
  await starts.reached(12);
});
