/** A rate limit's window, against the list of all starts: through clocks that are set, and restarts. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RatePolicy } from '../../src/job/rate-limit.js';
import { RateClock, type RateClockRecord } from '../../src/queue/rate-clock.js';
import { RateWindow, type RateRecord } from '../../src/queue/rate-window.js';

type Act =
  | { do: 'pass'; ms: number }
  /** As many as may, at most so many; each begins so much later, or is given back then. */
  | { do: 'start'; count: number; laterMs: number; isGivenBack: boolean }
  /** Until one more may. */
  | { do: 'wait' }
  | { do: 'setClock'; byMs: number }
  /** Where the clock was set, that is noticed. */
  | { do: 'look' }
  /** Killed, and started anew so much later, by a clock that was set back meanwhile; perhaps with another limit. */
  | { do: 'restart'; downMs: number; backMs: number; policy: RatePolicy | undefined };

const shortMs = fc.double({ min: 0, max: 300, noNaN: true });
const policy = fc.record({ max: fc.integer({ min: 1, max: 6 }), perMs: fc.integer({ min: 1, max: 500 }) });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: shortMs }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      count: fc.integer({ min: 1, max: 5 }),
      laterMs: fc.oneof(fc.constant(0), shortMs),
      isGivenBack: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('setClock' as const), byMs: fc.integer() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      downMs: shortMs,
      backMs: fc.oneof(fc.constant(0), fc.nat(1_000)),
      policy: fc.option(policy, { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('look' as const) }) },
);
/** By how much a restart may be late. */
const ROUNDED_MS = 3;
/** What is not noticed. */
const SET_MS = 100;

interface Pending {
  readonly at: number;
  readonly isGivenBack: boolean;
}

class Model {
  /** When each began, by a time that nobody sets. */
  readonly starts: number[] = [];
  /** What began before, an earlier limit has forgotten. */
  #knownFrom = -Infinity;
  #policy: RatePolicy;
  #window: RateWindow;
  #time: RateClock;
  #stored: RateRecord | undefined;
  #storedTime: RateClockRecord | undefined;
  /** Something has begun since that counts there from its claim on. */
  #isStoredEarly = false;
  /** What was allowed and begins later. */
  #pending: Pending[] = [];
  #now = 12_345.6;
  #bootedAt = 0;
  #wallAheadMs = 1_000_000;
  /** As it was when the time was last kept. */
  #storedAheadMs = 1_000_000;
  /** By how much it may be late because of restarts. */
  #lateMs = 0;
  /** When the limit became another: what started before counts as long as if it had then. */
  #changedAt = -Infinity;
  #startsBefore = 0;

  constructor(ratePolicy: RatePolicy) {
    this.#policy = ratePolicy;
    this.#window = new RateWindow(ratePolicy);
    this.#time = new RateClock(this.#clock);
  }

  perform(step: Act): void {
    switch (step.do) {
      case 'pass':
        return this.#advance(step.ms);
      case 'start':
        for (let i = 0; i < step.count && this.#delayMs() === 0; i++) this.#start(step);
        return undefined;
      case 'wait':
        return this.#wait();
      case 'setClock':
        this.#wallAheadMs += step.byMs % 10_000;
        return undefined;
      case 'look':
        return this.#look();
      default:
        return this.#restart(step);
    }
  }

  check(): void {
    const { max, perMs } = this.#policy;
    const known = this.starts.filter((startedAt) => startedAt > this.#knownFrom);
    for (let i = max; i < known.length; i++)
      if (i >= known.length - (this.starts.length - this.#startsBefore))
        expect((known[i] ?? 0) - (known[i - max] ?? 0)).toBeGreaterThan(perMs - 0.001);
    const delayMs = this.#delayMs();
    const isRecent = (startedAt: number, i: number): boolean =>
      (i < this.#startsBefore ? this.#changedAt : startedAt) >
      this.#now - perMs - this.#stepMs - this.#lateMs;
    if (this.starts.filter(isRecent).length + this.#pending.length < max) expect(delayMs).toBe(0);
    // A stall of one window, however the clock is set and whatever the limit was, and of what restarts round.
    expect(delayMs).toBeLessThanOrEqual(perMs + this.#stepMs + ROUNDED_MS);
  }

  get #stepMs(): number {
    return Math.ceil(this.#policy.perMs / 32);
  }

  get #clock() {
    return {
      now: () => Math.floor(this.#now + this.#wallAheadMs),
      monotonic: () => this.#now - this.#bootedAt,
    };
  }

  #start({ laterMs, isGivenBack }: { laterMs: number; isGivenBack: boolean }): void {
    this.#window.take();
    this.#store();
    const one = { at: this.#now + laterMs, isGivenBack };
    if (laterMs === 0) this.#end(one);
    else this.#pending = [...this.#pending, one].sort((a, b) => a.at - b.at);
  }

  #store(): void {
    this.#stored = this.#window.record(this.#time.now());
    this.#isStoredEarly = false;
    this.#storeTime();
  }

  #storeTime(): void {
    this.#storedTime = this.#time.record();
    this.#storedAheadMs = this.#wallAheadMs;
  }

  #look(): void {
    if (this.#storedTime && this.#time.wasSet) this.#storeTime();
    else if (this.#storedTime)
      expect(Math.abs(this.#wallAheadMs - this.#storedAheadMs)).toBeLessThanOrEqual(SET_MS + 2);
  }

  #end({ isGivenBack }: Pending): void {
    if (isGivenBack) {
      this.#window.giveBack();
      this.#store();
      return;
    }
    this.#window.begin(this.#time.now());
    this.starts.push(this.#now);
  }

  #advance(ms: number): void {
    const until = this.#now + ms;
    for (let [next] = this.#pending; next && next.at <= until; [next] = this.#pending) {
      this.#now = next.at;
      this.#pending.shift();
      this.#isStoredEarly ||= !next.isGivenBack;
      this.#end(next);
    }
    this.#now = until;
  }

  #wait(): void {
    const hasPending = this.#pending.length > 0;
    this.#advance(Math.ceil(this.#delayMs()));
    if (!hasPending) expect(this.#delayMs()).toBe(0);
  }

  #restart({ downMs, backMs, policy: next = this.#policy }: Extract<Act, { do: 'restart' }>): void {
    // Nothing that was claimed begins later than its claim: how long that takes is not kept.
    this.#advance(0);
    if (this.#pending.length > 0 || this.#isStoredEarly) return;
    this.#become(next);
    this.#now += downMs;
    // Set forward behind what is kept, it is taken for time that has passed: nothing tells otherwise.
    this.#wallAheadMs = Math.min(this.#wallAheadMs, this.#storedAheadMs) - backMs;
    this.#bootedAt = this.#now - 7.25;
    this.#lateMs += ROUNDED_MS + this.#storedAheadMs - this.#wallAheadMs;
    this.#time = new RateClock(this.#clock);
    if (this.#storedTime) this.#time.restore(this.#storedTime);
    this.#window = RateWindow.restored(
      next,
      this.#stored ?? { steps: [] },
      this.#time.keptAt ?? 0,
      this.#time.now(),
    );
    if (this.#storedTime) this.#storeTime();
  }

  #become(next: RatePolicy): void {
    if (next === this.#policy) return;
    this.#knownFrom = Math.max(this.#knownFrom, this.#now - this.#policy.perMs);
    this.#changedAt = this.#now;
    this.#startsBefore = this.starts.length;
    this.#policy = next;
  }

  #delayMs(): number {
    return this.#window.delayMs(this.#time.now());
  }
}

test('no more start in any window than the limit says, and it keeps nobody for longer than it must', () => {
  fc.assert(
    fc.property(policy, fc.array(act, { maxLength: 80 }), (ratePolicy, acts) => {
      const model = new Model(ratePolicy);
      for (const step of acts) {
        model.perform(step);
        model.check();
      }
    }),
    { numRuns: 3_000 },
  );
});

test('what is kept of a window does not grow with the number of starts', () => {
  const window = new RateWindow({ max: 1_000_000, perMs: 60_000 });
  for (let ms = 0; ms < 300_000; ms += 3) {
    window.take();
    window.begin(ms);
  }
  expect(window.record(300_000).steps.length).toBeLessThanOrEqual(34);
});

test('a limit that has become tighter holds for what started before', () => {
  const before = new RateWindow({ max: 10, perMs: 1_000 });
  for (let i = 0; i < 10; i++) {
    before.take();
    before.begin(100 * i);
  }
  const after = new RateWindow({ max: 2, perMs: 500 }, before.record(1_000), 1_000);
  expect(after.delayMs(1_000)).toBeGreaterThan(300);
  expect(after.delayMs(1_900)).toBe(0);
});

test('a limit whose time has become shorter counts by that, and what started before for no longer', () => {
  const day = 24 * 3_600_000;
  const before = new RateWindow({ max: 1, perMs: day });
  before.take();
  before.begin(100);
  const after = new RateWindow({ max: 5, perMs: 1_000 }, before.record(200), 200);
  for (let i = 0; i < 4; i++) {
    expect(after.delayMs(300)).toBe(0);
    after.take();
    after.begin(300);
  }
  expect(after.delayMs(300)).toBeGreaterThan(800);
  expect(after.delayMs(300)).toBeLessThan(1_000);
});

test('a start that is given back leaves room, and is not kept', () => {
  const window = new RateWindow({ max: 1, perMs: 1_000 });
  window.take();
  expect(window.delayMs(5)).toBeGreaterThan(0);
  expect(window.record(5).steps).toHaveLength(1);
  window.giveBack();
  expect(window.delayMs(5)).toBe(0);
  expect(window.countsForMs(5)).toBe(0);
  expect(window.record(5).steps).toEqual([]);
});

test('a window of which nothing is known lets nothing start while it lasts', () => {
  const window = RateWindow.full({ max: 3, perMs: 1_000 }, 77);
  expect(window.delayMs(77)).toBeGreaterThanOrEqual(1_000);
  expect(window.delayMs(1_200)).toBe(0);
});
