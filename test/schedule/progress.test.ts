/** Whatever a schedule is like and whenever it is looked after: the rules that hold of its ticks. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  begun,
  dequeued,
  dueTicks,
  ended,
  isLeftBehind,
  paused,
  planned,
  readyTick,
  resumed,
  started,
} from '../../src/schedule/progress.js';
import { MISFIRES, OVERLAPS, tickId, type Definition, type Schedule } from '../../src/schedule/record.js';
import { rhythmOf, type Timing } from '../../src/schedule/rhythm.js';

const START = Date.parse('2026-03-28T20:00:00Z');
const MINUTE = 60_000;

const timings: readonly Timing[] = [
  { everyMs: 7 * MINUTE },
  { everyMs: 90 * MINUTE },
  { pattern: '*/20 * * * *', timezone: 'Europe/Berlin' },
  { pattern: '15,45 1-3 * * *', timezone: 'Europe/Berlin' },
];

const definitions = fc.record({
  timing: fc.constantFrom(...timings),
  misfire: fc.constantFrom(...MISFIRES),
  overlap: fc.constantFrom(...OVERLAPS),
  maxCatchUp: fc.constantFrom(1, 3, 10_000),
  startMinutes: fc.option(fc.integer({ min: -600, max: 600 }), { nil: undefined }),
  endMinutes: fc.option(fc.integer({ min: 601, max: 1_500 }), { nil: undefined }),
  maxRuns: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
  maxAgeMinutes: fc.option(fc.integer({ min: 1, max: 200 }), { nil: undefined }),
});

type Drawn = typeof definitions extends fc.Arbitrary<infer Value> ? Value : never;

const definitionOf = (drawn: Drawn): Definition => ({
  job: 'work',
  timing: drawn.timing,
  misfire: drawn.misfire,
  overlap: drawn.overlap,
  maxCatchUp: drawn.maxCatchUp,
  jitterMs: 0,
  options: {},
  isDeclared: false,
  ...(drawn.startMinutes !== undefined && { startAt: START + drawn.startMinutes * MINUTE }),
  ...(drawn.endMinutes !== undefined && { endAt: START + drawn.endMinutes * MINUTE }),
  ...(drawn.maxRuns !== undefined && { maxRuns: drawn.maxRuns }),
  ...(drawn.maxAgeMinutes !== undefined && { maxAgeMs: drawn.maxAgeMinutes * MINUTE }),
});

/** What happens next: time passes, and the schedule is looked after; one of its jobs ends; it is paused or goes on. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.integer({ min: 0, max: 150 }) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const) }) },
  ),
  { maxLength: 25 },
);

class Life {
  schedule: Schedule;
  now = START;
  /** The ticks that had a job, in the order in which they had it. */
  readonly ticks: number[] = [];
  /** The jobs that go on. */
  readonly going: string[] = [];
  isPaused = false;

  constructor(definition: Definition) {
    this.schedule = { name: 's', definition, progress: begun(definition, START) };
  }

  lookAfter(): void {
    const ready = readyTick(this.schedule);
    if (ready !== undefined) {
      this.schedule = { ...this.schedule, progress: dequeued(this.schedule.progress) };
      this.#run([ready]);
    }
    const { nextAt = Infinity } = this.schedule.progress;
    if (nextAt > this.now) return;
    const due = [...dueTicks(this.schedule, this.now)].toReversed();
    const { ticks, progress } = planned(this.schedule, due, this.now);
    this.schedule = { ...this.schedule, progress };
    this.#run(ticks);
  }

  #run(ticks: readonly number[]): void {
    const runs = ticks.map((scheduledFor) => ({ jobId: tickId('s', scheduledFor), scheduledFor }));
    this.schedule = { ...this.schedule, progress: started(this.schedule, runs) };
    this.ticks.push(...ticks);
    this.going.push(...runs.map(({ jobId }) => jobId));
  }

  end(): void {
    const jobId = this.going.shift();
    if (jobId === undefined) return;
    const progress = ended(this.schedule.progress, { jobId, outcome: 'completed', finishedAt: this.now });
    this.schedule = { ...this.schedule, progress };
  }

  pause(): void {
    this.isPaused = true;
    this.schedule = { ...this.schedule, progress: paused(this.schedule.progress, this.now) };
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.schedule = { ...this.schedule, progress: resumed(this.schedule, this.now) };
  }
}

test('ticks have their jobs in order, once, within the bounds, and never two at a time where they must not', () => {
  fc.assert(
    fc.property(definitions, steps, (drawn, acts) => {
      const definition = definitionOf(drawn);
      const life = new Life(definition);
      const { startAt = 0, endAt = Infinity, maxRuns = Infinity, overlap } = definition;
      for (const act of acts) {
        if (act.do === 'pass') life.now += act.minutes * MINUTE;
        else life[act.do]();
        life.lookAfter();
        const { progress } = life.schedule;
        expect(progress.nextAt ?? Infinity).toBeGreaterThan(life.now);
        expect(progress.runCount).toBe(life.ticks.length);
        expect(isLeftBehind(life.schedule, life.now, Infinity)).toBe(false);
        if (overlap !== 'allow') expect(life.going.length).toBeLessThanOrEqual(1);
        if (life.isPaused) expect(progress.nextAt).toBeUndefined();
      }
      const rhythm = rhythmOf(definition.timing, life.schedule.progress.anchorAt);
      expect(life.ticks).toEqual([...new Set(life.ticks)].sort((a, b) => a - b));
      expect(life.ticks.every((tick) => tick >= startAt && tick < endAt && tick >= START)).toBe(true);
      expect(life.ticks.length).toBeLessThanOrEqual(maxRuns);
      for (const tick of life.ticks) expect(rhythm.upTo(tick, 1)).toEqual([tick]);
    }),
    { numRuns: 300 },
  );
});

test('with `all` and `allow`, each tick since the beginning has its job, whenever it was looked after', () => {
  const passes = fc.array(fc.integer({ min: 0, max: 600 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(fc.constantFrom(...timings), passes, (timing, minutes) => {
      const bounds = {
        startMinutes: undefined,
        endMinutes: undefined,
        maxRuns: undefined,
        maxAgeMinutes: undefined,
      };
      const life = new Life(
        definitionOf({ timing, misfire: 'all', overlap: 'allow', maxCatchUp: 10_000, ...bounds }),
      );
      for (const pass of minutes) {
        life.now += pass * MINUTE;
        life.lookAfter();
      }
      const rhythm = rhythmOf(timing, START);
      const expected: number[] = [];
      for (let at = rhythm.after(START); at !== undefined && at <= life.now; at = rhythm.after(at))
        expected.push(at);
      expect(life.ticks).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});

test('a tick that waits is forgotten by nothing but another', () => {
  const queueing = definitions.map((drawn) => ({ ...drawn, overlap: 'queue' as const }));
  fc.assert(
    fc.property(queueing, steps, (drawn, acts) => {
      const life = new Life(definitionOf(drawn));
      let waiting: number | undefined;
      for (const act of acts) {
        if (act.do === 'pass') life.now += act.minutes * MINUTE;
        else life[act.do]();
        life.lookAfter();
        const { queuedFor } = life.schedule.progress;
        if (waiting !== undefined && queuedFor !== waiting)
          expect(life.ticks.includes(waiting) || (queuedFor ?? 0) > waiting).toBe(true);
        waiting = queuedFor;
      }
    }),
    { numRuns: 300 },
  );
});
