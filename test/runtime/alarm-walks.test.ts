/** The alarm, whatever is set and whenever, and however the clock is set. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Alarm } from '../../src/runtime/alarm.js';
import { threeBells } from '../fixtures/alarm.js';
import { WatchedClock } from '../fixtures/watched-clock.js';

const MINUTE = 60_000;

type Act =
  | { readonly act: 'set'; readonly bell: number; readonly inMs: number }
  | { readonly act: 'advance'; readonly ms: number }
  | { readonly act: 'jump'; readonly ms: number };

const anyMs = fc.oneof(
  fc.integer({ min: -5, max: 50 }),
  fc.integer({ min: 0, max: 10 * MINUTE }),
  fc.constant(Infinity),
);
const anySet = fc.record({ act: fc.constant('set' as const), bell: fc.nat(2), inMs: anyMs });
const anyAdvance = fc.record({ act: fc.constant('advance' as const), ms: fc.nat(2 * MINUTE) });
const anyJump = fc.record({
  act: fc.constant('jump' as const),
  ms: fc.integer({ min: -5 * MINUTE, max: 5 * MINUTE }),
});

test('whatever is set and whenever: each bell rings once, when its instant comes, by one timer', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(anySet, anyAdvance), { maxLength: 40 }), async (acts: Act[]) => {
      const { clock, rings, bells, startAt } = threeBells();
      const expected: [bell: number, at: number][] = [];
      const at = [Infinity, Infinity, Infinity];
      /** What rings until then, in order. */
      const ring = (until: number): void => {
        const due = at.flatMap((instant, bell) => (instant <= until ? [{ bell, instant }] : []));
        for (const { bell, instant } of due.toSorted((a, b) => a.instant - b.instant || a.bell - b.bell)) {
          expected.push([bell, Math.max(instant, clock.now()) - startAt]);
          at[bell] = Infinity;
        }
      };
      for (const act of acts) {
        const now = clock.now();
        if (act.act === 'set') at[act.bell] = now + act.inMs;
        if (act.act === 'set') bells[act.bell]?.set(now + act.inMs);
        const ms = act.act === 'advance' ? act.ms : 0;
        ring(now + ms);
        await clock.advance(ms);
        expect(rings).toEqual(expected);
        expect(clock.pending).toBe(at.some((instant) => instant < Infinity) ? 1 : 0);
      }
      expect(Math.max(0, ...clock.delays)).toBeLessThanOrEqual(MINUTE);
    }),
    { numRuns: 300 },
  );
});

test('however the clock is set: none rings early, and none more than a minute late', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(anySet, anyAdvance, anyJump), { maxLength: 30 }),
      async (acts: Act[]) => {
        const clock = new WatchedClock();
        const alarm = new Alarm(clock);
        /** When each is to ring, and since when the clock has shown that, in monotonic time. */
        const waits = Array.from({ length: 3 }, () => ({ at: Infinity, since: Infinity }));
        const bells = waits.map((wait) =>
          alarm.bell(() => {
            expect(clock.now()).toBeGreaterThanOrEqual(wait.at);
            wait.at = wait.since = Infinity;
          }),
        );
        for (const act of acts) {
          if (act.act === 'set') {
            const wait = waits[act.bell];
            if (wait) wait.at = clock.now() + act.inMs;
            bells[act.bell]?.set(clock.now() + act.inMs);
          }
          if (act.act === 'jump') clock.jump(act.ms);
          if (act.act === 'advance') await clock.advance(act.ms);
          for (const wait of waits) {
            wait.since = clock.now() >= wait.at ? Math.min(wait.since, clock.monotonic()) : Infinity;
            expect(clock.monotonic() - wait.since).not.toBeGreaterThan(MINUTE);
          }
          expect(clock.pending).toBe(waits.some(({ at }) => at < Infinity) ? 1 : 0);
        }
      },
    ),
    { numRuns: 300 },
  );
});
