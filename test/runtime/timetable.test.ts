/** All schedules in memory, against a list that is sorted whenever it is asked. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Timetable } from '../../src/runtime/timetable.js';
import type { Schedule } from '../../src/schedule/record.js';
import { NOW } from '../fixtures/jobs.js';

/** A schedule that differs from others of its name by how often it ran. */
const scheduleOf = (name: string, runCount: number): Schedule => ({
  name,
  definition: {
    job: 'work',
    timing: { everyMs: 1_000 },
    jitterMs: 0,
    misfire: 'once',
    maxCatchUp: 100,
    overlap: 'allow',
    options: {},
    isDeclared: false,
  },
  progress: { anchorAt: NOW, decidedAt: NOW, runCount, skipCount: 0, going: [] },
});

/** Few names and instants, so that they meet. */
const anyName = fc.constantFrom('a', 'b', 'B', 'a/b', 'c', 'c2', 'z');
const anyAt = fc.oneof(fc.nat(5), fc.constant(Infinity));
const anyAct = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant('put' as const), name: anyName, at: anyAt }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('remove' as const), name: anyName }) },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('fill' as const),
      entries: fc.uniqueArray(fc.record({ name: anyName, at: anyAt }), { selector: ({ name }) => name }),
    }),
  },
);

test('whatever is put and removed: it tells what there is, by name, and what is due, in order', () => {
  fc.assert(
    fc.property(
      fc.array(anyAct, { maxLength: 60 }),
      fc.nat(6),
      fc.integer({ min: 1, max: 8 }),
      (acts, now, limit) => {
        const timetable = new Timetable();
        const model = new Map<string, { schedule: Schedule; at: number }>();
        for (const [i, act] of acts.entries()) {
          if (act.act === 'put') {
            const schedule = scheduleOf(act.name, i);
            timetable.put(schedule, act.at);
            model.set(act.name, { schedule, at: act.at });
          } else if (act.act === 'remove') {
            timetable.remove(act.name);
            model.delete(act.name);
          } else {
            const entries = act.entries.map(({ name, at }) => ({ schedule: scheduleOf(name, i), at }));
            timetable.fill(entries);
            model.clear();
            for (const entry of entries) model.set(entry.schedule.name, entry);
          }
          const sorted = [...model.values()].toSorted(
            (a, b) => a.at - b.at || (a.schedule.name < b.schedule.name ? -1 : 1),
          );
          const due = sorted.filter(({ at }) => at <= now).map(({ schedule }) => schedule.name);
          expect(timetable.due(now, limit)).toEqual(due.slice(0, limit));
          expect(timetable.nextAt).toBe(sorted[0]?.at ?? Infinity);
          expect(timetable.all().map(({ name }) => name)).toEqual([...model.keys()].toSorted());
          for (const [name, { schedule }] of model) expect(timetable.get(name)).toBe(schedule);
        }
        expect(timetable.get('nobody')).toBeUndefined();
      },
    ),
    { numRuns: 300 },
  );
});
