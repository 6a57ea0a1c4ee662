/** A rate limit's window, against the list of all starts: through clocks that are set, and restarts. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RatePolicy } from '../../src/job/rate-limit.js';
import { RateWindow, type RateRecord } from '../../src/queue/rate-window.js';

type Act =
  | { do: 'pass'; ms: number }
  /** As many as may, at most so many; each begins so much later. */
  | { do: 'start'; count: number; laterMs: number }
  /** Until one more may. */
  | { do: 'wait' }
  | { do: 'setClock'; byMs: number }
  /** Killed, and started anew so much later, by a clock that was set back meanwhile. */
  | { do: 'restart'; downMs: number; backMs: number };

const shortMs = fc.double({ min: 0, max: 300, noNaN: true });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: shortMs }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      count: fc.integer({ min: 1, max: 5 }),
      laterMs: fc.oneof(fc.constant(0), shortMs),
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
    }),
  },
);
const policy = fc.record({ max: fc.integer({ min: 1, max: 6 }), perMs: fc.integer({ min: 1, max: 500 }) });

class Model {
  /** When each began, by a time that nobody sets. */
  readonly starts: number[] = [];
  readonly #policy: RatePolicy;
  readonly #stepMs: number;
  #window: RateWindow;
  #stored: RateRecord | undefined;
  /** Something has begun since that counts there from its claim on. */
  #isStoredEarly = false;
  /** What was allowed and begins later. */
  #pending: number[] = [];
  #now = 12_345.6;
  #bootedAt = 0;
  #wallAheadMs = 1_000_000;
  /** As it was when it was last kept. */
  #storedAheadMs = 1_000_000;
  /** By how much it may be late because of restarts. */
  #lateMs = 0;

  constructor(ratePolicy: RatePolicy) {
    this.#policy = ratePolicy;
    this.#stepMs = Math.ceil(ratePolicy.perMs / 32);
    this.#window = new RateWindow(ratePolicy);
  }

  perform(step: Act): void {
    switch (step.do) {
      case 'pass':
        return this.#advance(step.ms);
      case 'start':
        for (let i = 0; i < step.count && this.#delayMs() === 0; i++) this.#start(step.laterMs);
        return undefined;
      case 'wait':
        return this.#wait();
      case 'setClock':
        this.#wallAheadMs += step.byMs % 10_000;
        return undefined;
      default:
        return this.#restart(step);
    }
  }

  check(): void {
    const { max, perMs } = this.#policy;
    for (let i = max; i < this.starts.length; i++)
      expect((this.starts[i] ?? 0) - (this.starts[i - max] ?? 0)).toBeGreaterThan(perMs - 0.001);
    const delayMs = this.#delayMs();
    const isRecent = (startedAt: number): boolean =>
      startedAt > this.#now - perMs - this.#stepMs - this.#lateMs;
    if (this.starts.filter(isRecent).length + this.#pending.length < max) expect(delayMs).toBe(0);
    // A stall of one window, however the clock is set.
    expect(delayMs).toBeLessThanOrEqual(perMs + this.#stepMs);
  }

  #start(laterMs: number): void {
    this.#window.take();
    this.#stored = this.#window.record(this.#moment());
    this.#isStoredEarly = false;
    this.#storedAheadMs = this.#wallAheadMs;
    if (laterMs === 0) this.#begin();
    else this.#pending = [...this.#pending, this.#now + laterMs].sort((a, b) => a - b);
  }

  #begin(): void {
    this.#window.begin(this.#moment().monotonic);
    this.starts.push(this.#now);
  }

  #advance(ms: number): void {
    const until = this.#now + ms;
    for (let [next] = this.#pending; next !== undefined && next <= until; [next] = this.#pending) {
      this.#now = next;
      this.#pending.shift();
      this.#isStoredEarly = true;
      this.#begin();
    }
    this.#now = until;
  }

  #wait(): void {
    const hasPending = this.#pending.length > 0;
    this.#advance(Math.ceil(this.#delayMs()));
    if (!hasPending) expect(this.#delayMs()).toBe(0);
  }

  #restart({ downMs, backMs }: { downMs: number; backMs: number }): void {
    // Nothing that was claimed begins later than its claim: how long that takes is not kept.
    this.#advance(0);
    if (this.#pending.length > 0 || this.#isStoredEarly) return;
    this.#now += downMs;
    // Set forward behind the last start, it is taken for time that has passed: nothing tells otherwise.
    this.#wallAheadMs = Math.min(this.#wallAheadMs, this.#storedAheadMs) - backMs;
    this.#bootedAt = this.#now - 7.25;
    this.#lateMs += 3 + this.#storedAheadMs - this.#wallAheadMs;
    this.#storedAheadMs = this.#wallAheadMs;
    this.#window = new RateWindow(this.#policy, this.#stored, this.#moment());
  }

  #moment() {
    return { wall: Math.floor(this.#now + this.#wallAheadMs), monotonic: this.#now - this.#bootedAt };
  }

  #delayMs(): number {
    return this.#window.delayMs(this.#moment().monotonic);
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
  expect(window.record({ wall: 0, monotonic: 300_000 }).steps.length).toBeLessThanOrEqual(34);
});

test('a limit that has become tighter holds for what started before', () => {
  const before = new RateWindow({ max: 10, perMs: 1_000 });
  for (let i = 0; i < 10; i++) {
    before.take();
    before.begin(100 * i);
  }
  const record = before.record({ wall: 5_000, monotonic: 1_000 });
  const after = new RateWindow({ max: 2, perMs: 500 }, record, { wall: 5_001, monotonic: 0 });
  expect(after.delayMs(0)).toBeGreaterThan(300);
  expect(after.delayMs(900)).toBe(0);
});

test('a window of which nothing is known lets nothing start while it lasts', () => {
  const window = RateWindow.full({ max: 3, perMs: 1_000 }, { wall: 5_000, monotonic: 77 });
  expect(window.delayMs(77)).toBeGreaterThanOrEqual(1_000);
  expect(window.delayMs(1_200)).toBe(0);
});
