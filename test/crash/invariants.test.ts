/** Each invariant can fail: a violation is planted for it in evidence that is sound otherwise. */
import { describe, expect, test } from 'vitest';
import type { RatePolicy } from '../../src/job/rate-limit.js';
import { INVARIANTS, findViolations } from './invariants.js';
import type { FinalJob } from './contents.js';
import type { Evidence } from './evidence.js';
import type { Fact, FactOf, Mark, Versions } from './facts.js';
import { NEW_JOB } from './operation.js';
import {
  completed,
  ended,
  enqueued,
  evidence,
  factsWith,
  finalJob,
  left,
  progressed,
  soundFacts,
  soundJobs,
  started,
} from './plant.js';
import { PLANTED_HANDLED } from './plant-handled.js';
import { PLANTED_TICKS, ticking, type Timed } from './plant-ticks.js';

const isEndOf =
  (id: string) =>
  (fact: Fact): boolean =>
    fact.kind === 'ended' && fact.id === id;
const isStartOf =
  (id: string) =>
  (fact: Fact): boolean =>
    fact.kind === 'started' && fact.id === id;
const is =
  (kind: Fact['kind']) =>
  (fact: Fact): boolean =>
    fact.kind === kind;

const [a = finalJob('a')] = soundJobs();
const isFirstProcess = (fact: Fact): boolean => fact.kind === 'opened' && fact.tookMs === 1;
const notFound = (id: string): Fact => ({
  kind: 'refused',
  operation: 'cancel',
  id,
  code: 'MILLRACE_JOB_NOT_FOUND',
});
/** The engine's own word that there is a new job. */
const made = (id: string): Fact => ({ kind: 'enqueued', id, name: 'tiny' });
const ran = (id: string): Fact[] => [
  started(id, 1),
  left(id, 1),
  ended(id, 'completed', { id, token: id, attempt: 1 }),
];

/** What is wrong, and with what it is found. */
type Planted = Readonly<Record<string, Readonly<Record<string, () => Evidence>>>>;

/** A queue is paused, or with an empty name all of them, and one of its jobs begins. */
const pausedThenBegan = (queue: string, ...between: readonly Fact[]): Fact[] => [
  { kind: 'halting', queue, change: 'pause', call: 'pausing' },
  { kind: 'halted', call: 'pausing', durability: 'fsync' },
  ...between,
  { kind: 'began', id: 'a', queue: 'default' },
];

const isEnqueueOf =
  (id: string) =>
  (fact: Fact): boolean =>
    fact.kind === 'enqueued' && fact.id === id;
const began = (id: string, at?: number): Fact & { at?: number } => ({
  kind: 'began',
  id,
  queue: 'default',
  ...(at !== undefined && { at }),
});
const debounced = (id: string, dueAt: number): Fact => ({ kind: 'debounced', id, key: 'debounce-1', dueAt });

const PLANTED: Planted = {
  lost: {
    'an acknowledged job is not in the journal': () => evidence([...soundFacts(), enqueued('c')]),
    'a completed job was cancelled': () =>
      evidence([...soundFacts(), { ...ended('a', 'cancelled'), by: 'cancel' }]),
    'a job that an earlier process acknowledged is not found': () =>
      evidence(
        soundFacts().flatMap((fact) =>
          fact.kind === 'opened' && !isFirstProcess(fact) ? [fact, notFound('b')] : [fact],
        ),
      ),
  },
  goneEarly: {
    'a job that has just ended is gone': () => counted(1, soundFacts(), [a]),
    'a job that has just ended is not found': () => evidence(factsWith(isEndOf('b'), notFound('a'))),
    'a job that has just ended is made anew': () =>
      counted(
        3,
        factsWith(isEndOf('b'), made('named-c'), ...ran('named-c'), made('named-c'), ...ran('named-c')),
        [...soundJobs(), finalJob('named-c')],
      ),
  },
  stranded: {
    'a job that nobody was told of does not run': () => {
      const counts = { ...completed(2), available: 1 };
      const facts = soundFacts().map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
      const c = finalJob('c', { state: 'available' });
      return evidence(facts, [...soundJobs(), c], { counters: new Map([['default', counts]]) });
    },
  },
  torn: {
    'one of two jobs that came together is missing': () =>
      evidence([...soundFacts(), { kind: 'asked', operation: 'enqueue many', together: ['a', 'c'] }]),
  },
  mixedUp: {
    'a job has the result of another': () =>
      evidence(
        soundFacts().filter((fact) => !isEndOf('b')(fact)),
        [a, finalJob('b', { result: { id: 'a', token: 'a', attempt: 1 } })],
      ),
    'a job has the payload of another': () =>
      evidence(
        soundFacts().filter((fact) => !isEndOf('b')(fact)),
        [a, finalJob('b', { token: 'a', result: { id: 'b', token: 'a', attempt: 1 } })],
      ),
    'a handler gets a part of a payload': () =>
      evidence(factsWith(isStartOf('a'), { kind: 'garbled', id: 'a' })),
    'a payload has become another': () =>
      evidence(soundFacts(), [finalJob('a', { isGarbled: true }), finalJob('b')]),
    ...PLANTED_TICKS.mixedUp,
    'a job is started for a tick that it is not of': () =>
      evidence(
        soundFacts().map((fact) => (isStartOf('a')(fact) ? started('a', 1, { scheduledFor: 20 }) : fact)),
      ),
    'a result is told that is not in the journal': () =>
      evidence([
        ...soundFacts(),
        { ...ended('a', 'completed', { id: 'b', token: 'b', attempt: 1 }), by: 'result' },
      ]),
  },
  misreported: {
    'progress of another job is told': () =>
      evidence(factsWith(isStartOf('a'), progressed('a', 1, { id: 'b' }))),
    'progress of another attempt is told': () =>
      evidence(factsWith(isStartOf('a'), progressed('a', 1, { attempt: 2 }))),
    'progress is told twice': () =>
      evidence(factsWith(isStartOf('a'), progressed('a', 1), progressed('a', 2), progressed('a', 2))),
    'progress is told of a job that has ended': () => evidence(factsWith(isEndOf('a'), progressed('a', 1))),
    ...PLANTED_TICKS.misreported,
  },
  announcedTwice: {
    'two events tell of one end': () =>
      evidence([...soundFacts(), ended('a', 'completed', { id: 'a', token: 'a', attempt: 1 })]),
  },
  finishedTwice: {
    'a handler starts behind the end of its job': () =>
      evidence(factsWith(isEndOf('a'), started('a', 1), left('a', 1))),
  },
  ranConcurrently: {
    'an attempt starts in a thread while another runs in one that lives': () =>
      evidence(factsWith(isStartOf('a'), started('a', 1, { thread: 12 }), left('a', 1, 12))),
    'an attempt starts in the thread in which another has not ended': () =>
      evidence(factsWith(isStartOf('a'), started('a', 1), left('a', 1))),
  },
  overLimit: {
    'two jobs of a type that runs alone run': () => {
      const narrow = { name: 'narrow', queue: 'default' };
      const more = [started('c', 1, narrow), started('d', 1, { ...narrow, thread: 12 })];
      const jobs = [...soundJobs(), finalJob('c', narrow), finalJob('d', narrow)];
      return counted(4, factsWith(isEndOf('a'), ...more, left('c', 1), left('d', 1, 12)), jobs);
    },
    'two jobs of a queue that is limited run': () => {
      const more = [started('c', 1, { queue: 'narrow' }), started('d', 1, { queue: 'narrow', thread: 12 })];
      const jobs = [...soundJobs(), finalJob('c'), finalJob('d')];
      return counted(4, factsWith(isEndOf('a'), ...more, left('c', 1), left('d', 1, 12)), jobs);
    },
  },
  overKeyLimit: {
    'two jobs of a type run that have the same key': () => {
      const work = { name: 'work', key: 'a' };
      const more = [started('c', 1, work), started('d', 1, { ...work, queue: 'low', thread: 12 })];
      const jobs = [...soundJobs(), finalJob('c', work), finalJob('d', work)];
      return counted(4, factsWith(isEndOf('a'), ...more, left('c', 1), left('d', 1, 12)), jobs);
    },
  },
  overRate: {
    'more attempts of a type begin within its time than may': () => limited({ name: 'tiny' }, [10, 19]),
    'more attempts of a queue begin within its time than may': () => limited({ queue: 'default' }, [10, 19]),
    'more attempts of a type begin that have the same key': () => limited({ key: 'tiny' }, [10, 19]),
    'the clock is set forward, and that makes room': () =>
      limited({ name: 'tiny' }, [10, 1_019], { kind: 'clockSet', ms: 1_000, at: 1_010 }),
    'another process forgets what began before it': () =>
      limited({ name: 'tiny' }, [10, 19], ...respawned(11)),
  },
  overSize: {
    'more jobs are in a queue than may be': () =>
      evidence(factsWith(is('opened'), { kind: 'sized', queue: 'short', size: 6 })),
    'a job comes into a queue that is full': () =>
      bounded(entering('c'), entered('c'), entering('d'), entered('d')),
  },
  refusedStayed: {
    'a job that found no room is there': () =>
      evidence(factsWith(is('opened'), { kind: 'noRoom', queue: 'short', token: 'a' })),
    'a job that was turned away is there': () =>
      bounded(entering('c'), entered('c'), entering('d'), { kind: 'turnedAway', call: 'd', isFull: true }),
  },
  refusedInVain: {
    'a job is turned away from a queue that has room': () =>
      bounded(
        entering('c'),
        entered('c'),
        ...ran('c'),
        entering('d'),
        entered('d'),
        ...ran('d'),
        entering('e'),
        { kind: 'turnedAway', call: 'e', isFull: true },
      ),
  },
  miscounted: {
    'an attempt is over the number of attempts': () =>
      evidence(soundFacts().map((fact) => (isStartOf('a')(fact) ? started('a', 4) : fact))),
    'an attempt goes back': () =>
      evidence(
        soundFacts().flatMap((fact) => (isStartOf('a')(fact) ? [started('a', 2), left('a', 2), fact] : fact)),
      ),
    'an attempt that died with its process was counted': () =>
      evidence(
        soundFacts().map((fact) =>
          fact.kind === 'started' && fact.pid === 2 ? { ...fact, attempt: 2 } : { ...fact },
        ),
      ),
    'an attempt that was told to have errored is made again': () =>
      evidence(factsWith(is('killed'), { kind: 'errored', id: 'b', attempt: 1 })),
    'an attempt of whose end its engine has heard is made again': () =>
      evidence(
        soundFacts().flatMap((fact) =>
          isStartOf('a')(fact) ? [fact, { ...left('a', 1), isHeard: true }, fact] : [fact],
        ),
      ),
    'an attempt that was snoozed was counted': () =>
      evidence(
        soundFacts().flatMap((fact) =>
          isStartOf('a')(fact) ? [fact, { ...left('a', 1), snoozedMs: 0 }, started('a', 2)] : [fact],
        ),
      ),
    'a job ended with more attempts than it has': () => withLast({ attempt: 4, errored: [1, 2, 3] }),
    'an attempt was counted that did not error': () => withLast({ attempt: 2 }),
    'an attempt errored that was not counted': () => withLast({ attempt: 1, errored: [1] }),
  },
  backEarly: {
    'a job that was snoozed comes back before its time': () =>
      evidence(
        soundFacts().flatMap((fact) =>
          isStartOf('a')(fact) ? [fact, { ...left('a', 1), isHeard: true, snoozedMs: 2 }, fact] : [fact],
        ),
      ),
  },
  blamed: {
    'a job is blamed for more crashes than there were': () =>
      evidence(soundFacts(), [a, finalJob('b', { crashes: 2 })]),
    'a job is blamed for a crash at which another was at work': () => {
      const jobs = [finalJob('a'), finalJob('b', { crashes: 1 }), finalJob('c')];
      return counted(3, factsWith(isStartOf('b'), started('c', 1)), jobs);
    },
  },
  ranWhileClosed: {
    'a handler starts behind close()': () =>
      counted(3, factsWith(is('closed'), started('c', 1), left('c', 1)), [...soundJobs(), finalJob('c')]),
  },
  ranWhilePaused: {
    'an attempt begins while its queue is paused': () =>
      evidence(factsWith(is('opened'), ...pausedThenBegan('default'))),
    'an attempt begins while all queues are paused': () =>
      evidence(factsWith(is('opened'), ...pausedThenBegan(''))),
    'an attempt begins behind a power cut': () =>
      evidence(
        factsWith(
          is('opened'),
          ...pausedThenBegan('default', { kind: 'killed', moment: 'power cut, 0 survive' }),
        ),
      ),
  },
  misupgraded: {
    'a payload for older code is given as it is': () => upgraded({ code: 3, enqueued: 1, upgrades: [] }),
    'a payload is upgraded step by step': () =>
      upgraded({
        code: 3,
        enqueued: 1,
        upgrades: [
          [1, 2],
          [2, 3],
        ],
      }),
    'a payload for this code is upgraded': () => upgraded({ code: 3, enqueued: 3, upgrades: [[2, 3]] }),
  },
  startedLate: {
    'an attempt starts behind the deadline of its job': () =>
      evidence(soundFacts(), [
        ...soundJobs().filter(({ id }) => id !== 'a'),
        finalJob('a', { ...soundJobs().find(({ id }) => id === 'a'), deadlineAt: 5, startedAt: 6 }),
      ]),
    'it is told that one begins long after': () =>
      evidence(
        [...soundFacts(), { kind: 'began', id: 'a', queue: 'default', at: 5_000 }],
        [finalJob('a', { deadlineAt: 500, startedAt: 499 }), finalJob('b')],
      ),
  },
  expiredFalsely: {
    'a job expires before its deadline': () => failing({ at: 499, code: 'MILLRACE_EXPIRED' }, 500),
    'a job expires that has no deadline': () => failing({ at: 499, code: 'MILLRACE_EXPIRED' }),
    'a job is stopped for its deadline that did not run': () =>
      failing({ at: 501, code: 'MILLRACE_DEADLINE' }, 500),
    'a job that has expired fails for another reason': () =>
      failing({ at: 501, code: 'MILLRACE_JOB_CRASHED' }, 500),
  },
  flowStuck: {
    'a job waits for parents that have ended': () => {
      const counts = { ...completed(2), waiting: 1 };
      const facts = soundFacts().map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
      const c = finalJob('c', { state: 'waiting', parents: ['a'] });
      return evidence(facts, [...soundJobs(), c], { counters: new Map([['default', counts]]) });
    },
  },
  flowBroken: {
    'a job starts before its parent has ended': () =>
      evidence(soundFacts(), [
        ...soundJobs().filter(({ id }) => id !== 'a'),
        finalJob('a', { ...soundJobs().find(({ id }) => id === 'a'), parents: ['b'] }),
      ]),
    'a job completes although its parent was cancelled': () => {
      const counts = { ...completed(2), cancelled: 1 };
      const facts = soundFacts().map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
      const jobs = [
        ...soundJobs().filter(({ id }) => id !== 'a'),
        finalJob('a', { ...soundJobs().find(({ id }) => id === 'a'), parents: ['c'] }),
        finalJob('c', { state: 'cancelled' }),
      ];
      return evidence(facts, jobs, { counters: new Map([['default', counts]]) });
    },
  },
  followUpsLost: {
    'what a handler enqueued is not there': () =>
      evidence(factsWith(isStartOf('a'), { kind: 'followedUp', id: 'a', followUp: 'c' })),
  },
  followUpsDoubled: {
    'what a handler enqueued that was interrupted is there': () =>
      counted(3, factsWith(isStartOf('b'), { kind: 'followedUp', id: 'b', followUp: 'c' }), [
        ...soundJobs(),
        finalJob('c'),
      ]),
  },
  followUpsLeaked: {
    'what a handler enqueued whose job failed is there': () => {
      const facts = factsWith(isStartOf('a'), { kind: 'followedUp', id: 'a', followUp: 'c' });
      const counts = { ...completed(2), failed: 1 };
      const failed = facts
        .filter((fact) => !isEndOf('a')(fact))
        .map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
      const a = finalJob('a', { state: 'failed', errored: [1] });
      return evidence(failed, [a, finalJob('b'), finalJob('c')], {
        counters: new Map([['default', counts]]),
      });
    },
  },
  checkpointLost: {
    'a handler gets none of what was kept': () =>
      evidence(factsWith(isStartOf('b'), { kind: 'checkpointed', id: 'b', mark: { id: 'b', step: 1 } })),
    'a handler gets what was kept before': () => evidence(resumedFrom({ id: 'b', step: 1 })),
    'a handler gets what another job has kept': () => evidence(resumedFrom({ id: 'a', step: 2 })),
  },
  retriesLost: {
    'a job that failed does not run again': () => retried({ kind: 'retried', id: 'c', state: 'available' }),
    ...PLANTED_HANDLED.retriesLost,
  },
  cancelsLost: {
    'a job begins that was cancelled with all others': () =>
      evidence(
        factsWith(
          isEnqueueOf('b'),
          { kind: 'asked', operation: 'cancel', name: 'tiny' },
          { kind: 'allCancelled', name: 'tiny' },
          began('b'),
        ),
      ),
  },
  removalsUndone: {
    'a job that was removed is there': () => retried({ kind: 'removed', id: 'c', wasThere: true }),
    'a job that was removed runs': () =>
      counted(
        2,
        factsWith(isEndOf('b'), made('c'), ...removed('c'), started('c', 1), left('c', 1)),
        soundJobs(),
      ),
    ...PLANTED_HANDLED.removalsUndone,
  },
  promotesLost: PLANTED_HANDLED.promotesLost,
  ghosts: {
    'a handler runs for a job that is not in the journal': () =>
      evidence(factsWith(isEndOf('a'), started('c', 1), left('c', 1))),
  },
  ticksLost: PLANTED_TICKS.ticksLost,
  ticksDoubled: PLANTED_TICKS.ticksDoubled,
  ticksInvented: PLANTED_TICKS.ticksInvented,
  uniqueKeysLeaked: {
    'all jobs have ended, and a key is held': () =>
      evidence(soundFacts(), soundJobs(), { keyEntries: ['u!tiny!active-1'] }),
  },
  uniqueKeysDoubled: {
    'two jobs of one key run at a time': () =>
      counted(
        4,
        factsWith(
          isEndOf('b'),
          made('c'),
          made('d'),
          started('c', 1),
          ...ran('d'),
          left('c', 1),
          ended('c', 'completed', { id: 'c', token: 'c', attempt: 1 }),
        ),
        [...soundJobs(), ...['c', 'd'].map((id) => finalJob(id, { uniqueKey: 'active-1' }))],
      ),
  },
  debouncedWrong: {
    'a job that was put off starts too early': () =>
      evidence(factsWith(isEnqueueOf('b'), debounced('b', 100), began('b'))),
    'a job starts although another has taken its place': () =>
      evidence([...factsWith(isEnqueueOf('b'), debounced('a', 900), debounced('b', 0)), began('a', 1_000)]),
    'a job starts long after another has taken its place': () =>
      evidence([...factsWith(isEnqueueOf('b'), debounced('a', 0), debounced('b', 0)), began('a', 2_000)]),
  },
  throttledWrong: {
    'two jobs are made where one may be': () =>
      evidence(soundFacts(), [
        finalJob('a', { uniqueKey: 'throttle-1 30', enqueuedAt: 100 }),
        finalJob('b', { uniqueKey: 'throttle-1 30', enqueuedAt: 129 }),
      ]),
  },
  counterDrift: {
    'counts() is wrong in total': () =>
      evidence([...soundFacts(), { kind: 'counted', counts: completed(3) }]),
    'counts() is wrong for a queue': () =>
      evidence([...soundFacts(), { kind: 'counted', queue: 'low', counts: completed(1) }]),
    'the counters on disk are wrong': () =>
      evidence(soundFacts(), soundJobs(), { counters: new Map([['default', completed(1)]]) }),
    'the counters of a queue are missing': () => evidence(soundFacts(), soundJobs(), { counters: new Map() }),
  },
  leftover: {
    'a key of the waiting stays': () =>
      evidence(soundFacts(), soundJobs(), { places: ['r!default!tiny!7fff11'] }),
    'the payload of a job stays that is gone': () =>
      evidence(soundFacts(), soundJobs(), { strayFiles: ['9b2e-1'] }),
    'a deadline stays': () => evidence(soundFacts(), soundJobs(), { places: ['x!8loyw3v2811'] }),
  },
  unreadable: {
    'a record is damaged': () =>
      evidence(soundFacts(), soundJobs(), { unreadable: ['its checksum does not match'] }),
  },
  troubled: {
    'an operation is refused for no reason': () =>
      evidence([
        ...soundFacts(),
        { kind: 'refused', operation: 'enqueue', code: 'MILLRACE_JOURNAL_WRITE_FAILED' },
      ]),
    'a job that was just acknowledged is not found': () =>
      evidence([
        ...soundFacts(),
        { kind: 'refused', operation: 'enqueue and cancel', code: 'MILLRACE_JOB_NOT_FOUND' },
      ]),
    'a job is not found while somebody waits for it': () =>
      evidence(
        factsWith(isEnqueueOf('b'), {
          kind: 'refused',
          operation: NEW_JOB,
          id: 'b',
          code: 'MILLRACE_JOB_NOT_FOUND',
        }),
      ),
    'the engine warns': () =>
      evidence([...soundFacts(), { kind: 'warned', code: 'MILLRACE_JOURNAL_READ_FAILED', message: 'no' }]),
  },
  broke: {
    'a process ends by itself': () =>
      evidence([...soundFacts(), { kind: 'broke', message: 'it ended with 1' }]),
  },
};

/**
 * A type, or its queue, or those of it that have a key, may begin once in 10 ms, and begin twice.
 * @param times When that is. @param between What happens meanwhile.
 */
function limited(
  by: { readonly name?: string; readonly queue?: string; readonly key?: string },
  times: readonly [number, number],
  ...between: readonly Timed[]
): Evidence {
  const policy = (name: string | undefined): ReadonlyMap<string, RatePolicy> =>
    new Map(name === undefined ? [] : [[name, { max: 1, perMs: 10 }]]);
  const rates = { name: policy(by.name), queue: policy(by.queue), key: policy(by.key), toldLateMs: 0 };
  const run = (id: string, at: number, pid: number): Timed[] => [
    { kind: 'began', id, queue: 'default', at },
    { ...started(id, 1, { key: 'one', pid }), at },
    { ...left(id, 1), at },
  ];
  const facts = [...run('c', times[0], 1), ...between, ...run('d', times[1], 2)];
  const sound = soundFacts();
  const at = sound.findIndex(is('killed'));
  const found = counted(
    4,
    [...sound.slice(0, at).map((fact) => ({ ...fact, at: 0 })), ...facts, ...sound.slice(at)],
    [...soundJobs(), finalJob('c'), finalJob('d')],
  );
  return { ...found, terms: { ...found.terms, rates } };
}

/** The clock is set forward, and another process comes so much later. */
function respawnedLater(afterMs: number): Timed[] {
  return [{ kind: 'clockSet', ms: 1_000, at: 1_010 }, ...respawned(1_010 + afterMs)];
}

const upgraded = (versions: Versions): Evidence =>
  evidence(soundFacts().map((fact) => (isStartOf('a')(fact) ? started('a', 1, { versions }) : fact)));

const entering = (id: string): Fact => ({ kind: 'entering', queue: 'default', call: id, tokens: [id] });
const entered = (id: string): Fact => ({ kind: 'entered', call: id, ids: [id] });

/** In the queue one job may wait; `c` and `d` are there in the end. */
function bounded(...facts: readonly Fact[]): Evidence {
  const jobs = [...soundJobs(), finalJob('c'), finalJob('d')];
  const found = counted(4, factsWith(isEndOf('b'), ...facts), jobs);
  return { ...found, terms: { ...found.terms, bounds: new Map([['default', 1]]) } };
}

const respawned = (at: number): Timed[] => [
  { kind: 'spawned', cycle: 2, role: 'workload', at },
  { kind: 'opening', at },
  { kind: 'opened', tookMs: 0, isFirst: true, at },
];

const failed = (id: string): Fact[] => [made(id), started(id, 1), left(id, 1), ended(id, 'failed')];
const removed = (id: string): Fact[] => [
  { kind: 'asked', operation: 'remove', id },
  { kind: 'removed', id, wasThere: true },
];

/** Evidence of a job `c` that failed, of which that was acknowledged then, and that is as it was. */
function retried(answer: FactOf<'retried'> | FactOf<'removed'>): Evidence {
  const operation = answer.kind === 'retried' ? 'retry' : 'remove';
  const asked: Fact = { kind: 'asked', operation, id: 'c' };
  const counts = { ...completed(2), failed: 1 };
  const facts = factsWith(isEndOf('b'), ...failed('c'), asked, answer).map((fact) =>
    fact.kind === 'counted' ? { ...fact, counts } : fact,
  );
  const c = finalJob('c', { state: 'failed', errored: [1] });
  return evidence(facts, [...soundJobs(), c], { counters: new Map([['default', counts]]) });
}

/** A run whose job `b` is interrupted at its second step, and resumes from there. */
const resumedFrom = (mark: Mark): Fact[] =>
  factsWith(
    isStartOf('b'),
    { kind: 'checkpointed', id: 'b', mark: { id: 'b', step: 1 } },
    { kind: 'checkpointed', id: 'b', mark: { id: 'b', step: 2 } },
  ).map((fact) => (fact.kind === 'started' && fact.pid === 2 ? { ...fact, resumeFrom: mark } : fact));

/** Evidence whose job `a` completed as that attempt; nobody was told. */
function withLast({ attempt, errored = [] }: { attempt: number; errored?: number[] }): Evidence {
  const facts = soundFacts().filter((fact) => !isEndOf('a')(fact));
  return evidence(facts, [
    finalJob('a', { attempt, errored, result: { id: 'a', token: 'a', attempt } }),
    finalJob('b'),
  ]);
}

/** Evidence whose counts fit so many completed jobs. */
function counted(
  count: number,
  facts: readonly (Fact & { at?: number })[],
  jobs: Parameters<typeof evidence>[1],
): Evidence {
  const counts = completed(count);
  const fitting = facts.map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
  return evidence(fitting, jobs, { counters: new Map([['default', counts]]) });
}

/** Evidence of a third job that failed without an attempt. */
function failing(failure: NonNullable<FinalJob['failure']>, deadlineAt?: number): Evidence {
  const c = finalJob('c', {
    state: 'failed',
    attempt: 0,
    failure,
    ...(deadlineAt !== undefined && { deadlineAt }),
  });
  const counts = { ...completed(2), failed: 1 };
  const facts = soundFacts().map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
  return evidence(facts, [...soundJobs(), c], { counters: new Map([['default', counts]]) });
}

test('there is a planted violation of each invariant', () => {
  expect(Object.keys(PLANTED)).toEqual(INVARIANTS.map(({ name }) => name));
});

test('a run in which all went well violates none', () => {
  expect(findViolations(evidence())).toEqual([]);
  expect(findViolations(ticking())).toEqual([]);
});

describe.each(Object.entries(PLANTED))('%s', (name, cases) => {
  test.each(Object.entries(cases))('%s', (_case, plant) => {
    const found = findViolations(plant());
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found.map(({ invariant }) => invariant))).toEqual(new Set([name]));
  });
});

test('an acknowledged job that has not ended after the audit is lost', () => {
  const found = findViolations(evidence(soundFacts(), [a, finalJob('b', { state: 'available' })]));
  expect(found).toContainEqual({
    invariant: 'lost',
    id: 'b',
    message: 'was acknowledged and is still available after the audit',
  });
});

test.each([
  ['in another window', [10, 20], []],
  ['in another process, which comes later by the clock', [10, 1_016], respawnedLater(5)],
  ['behind a power cut', [10, 11], [{ kind: 'killed', moment: 'power cut, 0 survive' }, ...respawned(10)]],
] as const)('as many attempts may begin again %s', (_where, [one, other], between) => {
  expect(findViolations(limited({ name: 'tiny' }, [one, other], ...between))).toEqual([]);
});

/** Facts of which those behind the first one that fits happened long after. */
function longAfter(facts: readonly Fact[], isBefore: (fact: Fact) => boolean): (Fact & { at?: number })[] {
  const at = facts.findIndex(isBefore);
  return facts.map((fact, i) => (i > at ? { ...fact, at: 10_000 + i } : fact));
}

test('a job may be gone once it was kept, and its id may belong to another', () => {
  const lives = [made('named-c'), ...ran('named-c'), notFound('named-c'), made('named-c'), ...ran('named-c')];
  const facts = longAfter(factsWith(isEndOf('b'), ...lives), isEndOf('named-c'));
  expect(findViolations(counted(1, facts, [finalJob('named-c')]))).toEqual([]);
  // And both may be.
  const muchLater = [...facts.slice(0, -1), { kind: 'finished', at: 20_000 } as const];
  expect(findViolations(counted(0, muchLater, []))).toEqual([]);
});

test('a job that has not ended may not be made anew', () => {
  const lives = [made('named-c'), made('named-c'), ...ran('named-c')];
  const jobs = [...soundJobs(), finalJob('named-c')];
  expect(findViolations(counted(3, factsWith(isEndOf('b'), ...lives), jobs))).toContainEqual({
    invariant: 'goneEarly',
    id: 'named-c',
    message: 'was made anew, and had not ended',
  });
});

test('of jobs that came together one may be gone rightly, and the others still be there', () => {
  const facts = longAfter(soundFacts(), isEndOf('b'));
  expect(findViolations(counted(1, facts, [a]))).toEqual([]);
});

test('a job whose end nobody was told of may be gone, too, and the counters must be right all the same', () => {
  const facts = longAfter(
    soundFacts().filter((fact) => !isEndOf('a')(fact)),
    isEndOf('b'),
  );
  expect(findViolations(counted(1, facts, [finalJob('b')]))).toEqual([]);
  const found = findViolations(counted(2, facts, [finalJob('b')]));
  expect(new Set(found.map(({ invariant }) => invariant))).toEqual(new Set(['counterDrift']));
});

test('an attempt may follow one whose thread or process has gone, and it may repeat what a kill interrupted', () => {
  const stuck = { name: 'stuck', thread: 12 };
  const retry = started('c', 2, { name: 'stuck', living: [11] });
  const facts = factsWith(isEndOf('a'), started('c', 1, stuck), retry, left('c', 2));
  const c = finalJob('c', {
    name: 'stuck',
    attempt: 2,
    errored: [1],
    result: { id: 'c', token: 'c', attempt: 2 },
  });
  expect(findViolations(counted(3, facts, [...soundJobs(), c]))).toEqual([]);
});

test('what the last handler of a job has enqueued is there, and what was kept is resumed from', () => {
  const facts = resumedFrom({ id: 'b', step: 2 }).flatMap((fact): Fact[] => {
    const followUp = fact.kind === 'started' && fact.pid === 2 ? 'c' : 'd';
    return isStartOf('b')(fact) ? [fact, { kind: 'followedUp', id: 'b', followUp }] : [fact];
  });
  expect(findViolations(counted(3, facts, [...soundJobs(), finalJob('c')]))).toEqual([]);
});

test('a job that was snoozed comes back with the same attempt, and one that was too often with the next', () => {
  const snoozed = { ...left('c', 1), isHeard: true, snoozedMs: 1 };
  const runs = [started('c', 1), snoozed];
  const c = finalJob('c', { attempt: 2, errored: [1], result: { id: 'c', token: 'c', attempt: 2 } });
  const facts = factsWith(isEndOf('a'), ...runs, ...runs, ...runs, started('c', 2), left('c', 2));
  expect(findViolations(counted(3, facts, [...soundJobs(), c]))).toEqual([]);
});

test('a job that failed may run again once somebody has asked for that, and end otherwise, and again', () => {
  const again: Fact[] = [
    { kind: 'asked', operation: 'retry', id: 'c' },
    { kind: 'retried', id: 'c', state: 'available' },
    started('c', 2, { maxAttempts: 4 }),
    left('c', 2),
    ended('c', 'completed', { id: 'c', token: 'c', attempt: 2 }),
  ];
  const c = finalJob('c', {
    attempt: 2,
    maxAttempts: 4,
    errored: [1],
    retries: 1,
    result: { id: 'c', token: 'c', attempt: 2 },
  });
  const facts = factsWith(isEndOf('b'), ...failed('c'), ...again);
  expect(findViolations(counted(3, facts, [...soundJobs(), c]))).toEqual([]);
  const unasked = facts.filter(({ kind }) => kind !== 'asked' && kind !== 'retried');
  const found = findViolations(counted(3, unasked, [...soundJobs(), c]));
  expect(new Set(found.map(({ invariant }) => invariant))).toEqual(
    new Set(['lost', 'announcedTwice', 'finishedTwice']),
  );
});

test('of a job that has run again and again the last errors are kept, and the attempts before them counted', () => {
  const errored = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
  const often = { state: 'failed', attempt: 16, maxAttempts: 16, retries: 5 } as const;
  const counts = { ...completed(2), failed: 1 };
  const facts = factsWith(isEndOf('b'), made('c'), ended('c', 'failed')).map((fact) =>
    fact.kind === 'counted' ? { ...fact, counts } : fact,
  );
  const found = (job: Partial<FinalJob>): string[] => {
    const contents = { counters: new Map([['default', counts]]) };
    const c = finalJob('c', { ...often, ...job });
    return findViolations(evidence(facts, [...soundJobs(), c], contents)).map(({ invariant }) => invariant);
  };
  expect(found({ errored })).toEqual([]);
  expect(found({ errored: errored.slice(1) })).toEqual(['miscounted']);
});

test('a job that runs again long after its end is the same one, and can be gone only once it has ended anew', () => {
  const snooze = { ...left('named-c', 1), isHeard: true, snoozedMs: 1 };
  const snoozed = [started('named-c', 1), snooze];
  const asked: Fact = { kind: 'asked', operation: 'retry', id: 'named-c' };
  const heard: Fact = { kind: 'retried', id: 'named-c', state: 'available' };
  const result = { id: 'named-c', token: 'named-c', attempt: 2 };
  const again: Fact[] = [
    ...[snoozed, snoozed, snoozed].flat(),
    started('named-c', 2),
    left('named-c', 2),
    ended('named-c', 'completed', result),
  ];
  const c = finalJob('named-c', { attempt: 2, errored: [1], retries: 1, result });
  const facts = (...between: readonly Fact[]): Timed[] =>
    longAfter(
      factsWith(isEndOf('b'), made('named-c'), ended('named-c', 'cancelled'), ...between),
      is('retried'),
    );
  expect(findViolations(counted(3, facts(asked, heard, ...again), [...soundJobs(), c]))).toEqual([]);
  const gone = findViolations(counted(2, facts(asked, heard), soundJobs()));
  expect(new Set(gone.map(({ invariant }) => invariant))).toEqual(new Set(['lost']));
});

test.each([
  ['one that waited has begun', [entering('c'), entered('c'), entering('d'), ...ran('c'), entered('d')]],
  [
    'one that waited may have been removed',
    [entering('c'), entered('c'), ...removed('c').slice(0, 1), entering('d'), entered('d')],
  ],
] as const)('a job may come into a queue that was full where %s', (_why, facts) => {
  expect(findViolations(bounded(...facts))).toEqual([]);
});

test('an id may belong to another job once somebody has removed the one before, and what either tells is its own', () => {
  const life = (): Fact[] => [
    made('named-c'),
    started('named-c', 1),
    progressed('named-c', 1),
    { kind: 'checkpointed', id: 'named-c', mark: { id: 'named-c', step: 1 } },
    left('named-c', 1),
    started('named-c', 1, { resumeFrom: { id: 'named-c', step: 1 } }),
    left('named-c', 1),
    ended('named-c', 'completed', { id: 'named-c', token: 'named-c', attempt: 1 }),
  ];
  const facts = factsWith(isEndOf('b'), ...life(), ...removed('named-c'), ...life());
  expect(findViolations(counted(3, facts, [...soundJobs(), finalJob('named-c')]))).toEqual([]);
});

test('what is done to all of a type is done to no other', () => {
  const asked = (operation: string, name: string): Fact => ({ kind: 'asked', operation, name });
  const facts = (name: string): Fact[] =>
    factsWith(isEndOf('b'), ...failed('c'), asked('remove', name), { kind: 'removed', name, wasThere: true });
  expect(findViolations(counted(0, facts('tiny'), []))).toEqual([]);
  expect(findViolations(counted(2, facts('work'), soundJobs()))).not.toEqual([]);
  const begun = (...between: readonly Fact[]): Fact[] =>
    factsWith(
      isEnqueueOf('b'),
      asked('cancel', 'tiny'),
      { kind: 'allCancelled', name: 'tiny' },
      ...between,
      began('b'),
    );
  expect(findViolations(evidence(begun(asked('retry', 'work'))))).not.toEqual([]);
  expect(findViolations(evidence(begun(asked('retry', 'tiny'))))).toEqual([]);
});

test('a job may be gone that somebody has removed, or may have', () => {
  const facts = factsWith(isEndOf('b'), ...failed('c'), ...removed('c'));
  expect(findViolations(counted(2, facts, soundJobs()))).toEqual([]);
  const unanswered = facts.filter(({ kind }) => kind !== 'removed');
  expect(findViolations(counted(2, unanswered, soundJobs()))).toEqual([]);
  const unasked = unanswered.filter((fact) => fact.kind !== 'asked' || fact.operation !== 'remove');
  expect(findViolations(counted(2, unasked, soundJobs()))).not.toEqual([]);
});

test.each([
  ['of another queue', pausedThenBegan('low')],
  [
    'that is being resumed',
    pausedThenBegan('default', { kind: 'halting', queue: 'default', change: 'resume', call: 'r' }),
  ],
  ['whose pause was not acknowledged', pausedThenBegan('default').filter(({ kind }) => kind !== 'halted')],
])('a job may begin %s', (_which, facts) => {
  expect(findViolations(evidence(factsWith(is('opened'), ...facts)))).toEqual([]);
});

test('it may be told late that a job has ended, or that an attempt of it begins', () => {
  const facts = longAfter(factsWith(isEndOf('b'), made('c'), ...ran('c'), notFound('c')), isStartOf('c'));
  const slowly = facts.map((fact) => {
    if (fact.kind === 'left' && fact.id === 'c') return { ...fact, at: 10_000 };
    if (isEndOf('c')(fact)) return { ...fact, at: 10_700 };
    return fact.at === undefined ? fact : { ...fact, at: fact.at + 800 };
  });
  expect(findViolations(counted(2, slowly, soundJobs()))).toEqual([]);
  const soon = slowly.map((fact) =>
    fact.kind === 'left' && fact.id === 'c' ? { ...fact, at: 10_600 } : fact,
  );
  const found = findViolations(counted(2, soon, soundJobs()));
  expect(new Set(found.map(({ invariant }) => invariant))).toEqual(new Set(['goneEarly']));
  const a = finalJob('a', { deadlineAt: 500, startedAt: 499 });
  expect(findViolations(evidence([...soundFacts(), began('a', 1_500)], [a, finalJob('b')]))).toEqual([]);
});

test.each([
  ['at once when it was cancelled and is run again', [debounced('b', 100), asked('retry'), began('b')]],
  [
    'at once when a call that was made before has it promoted',
    [asked('promote'), debounced('b', 100), began('b')],
  ],
  ['when it was due as another came', [debounced('b', 0), debounced('a', 0), began('b', 500)]],
] as const)('a job that was put off may start %s', (_when, facts) => {
  expect(findViolations(evidence(factsWith(isEnqueueOf('b'), ...facts)))).toEqual([]);
});

function asked(operation: string): Fact {
  return { kind: 'asked', operation, id: 'b' };
}

test('a parent whose result others may ask for need not be removed', () => {
  const code = 'MILLRACE_JOB_AWAITED';
  const refused = (operation: string): Fact => ({ kind: 'refused', operation, id: 'a', code });
  expect(findViolations(evidence(factsWith(isEndOf('b'), refused('remove'))))).toEqual([]);
  expect(findViolations(evidence(factsWith(isEndOf('b'), refused('retry'))))).not.toEqual([]);
});

test('a job may start whose parent has ended, although nobody is told of that any more', () => {
  const facts = soundFacts().filter((fact) => !('id' in fact && fact.id === 'b'));
  const a = finalJob('a', { parents: ['b'] });
  expect(findViolations(evidence(facts, [a, finalJob('b')]))).toEqual([]);
});
