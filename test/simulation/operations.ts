/** What a history asks of an engine: one table. A feature of the engine's adds its operation here, and its act. */
import {
  JobCancelledError,
  JobFailedError,
  type Durability,
  type JobFilter,
  type JobHandle,
} from '../../src/index.js';
import { MAX_INLINE_BYTES } from '../../src/job/payload-file.js';
import { ENDED_STATES, isEnd, type JobState } from '../../src/job/record.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { change, NOT_FOUND } from '../crash/change.js';
import type { Changing, Done, Fact, Halting } from '../crash/facts.js';
import { ballastOf } from '../crash/payload.js';
import { enter } from './entering.js';
import { queues, type Name, type Work } from './catalogue.js';
import type { Act, Item } from './history.js';
import { asAsked, described, nameOf, PLANS } from './schedules.js';

/** A job that somebody has heard of, or asked for. */
export interface Target {
  readonly id: string;
  readonly name: Name;
  /** Of a schedule, whose runs are kept. */
  readonly isRun?: true;
  /** What that engine gave for it. */
  readonly handle?: JobHandle;
  readonly engine?: EmbeddedEngine;
}

/** What an operation works with. */
export interface Call {
  readonly engine: EmbeddedEngine;
  /** What the engine's own writes survive. */
  readonly durability: Durability;
  /** Of the app's code. */
  readonly version: number;
  readonly now: () => number;
  readonly tell: (fact: Fact) => void;
  readonly known: Target[];
  /** Of all calls that may wait for room. */
  readonly patience: AbortController[];
  /** All that has happened. */
  readonly facts: readonly Fact[];
  /** New at each call. */
  readonly token: () => string;
  /** @param perform What it rejects with is told as refused. */
  readonly ask: (operation: string, id: string | undefined, perform: () => Promise<void>) => void;
}

export type ActOf<Do extends Act['do']> = Extract<Act, { readonly do: Do }>;
/** The acts that ask something of the engine. */
export type Asking =
  | 'enqueue'
  | 'enqueueNamed'
  | 'enqueueKeyed'
  | 'enqueueMany'
  | 'enter'
  | 'giveUp'
  | 'flood'
  | 'enqueueFlow'
  | 'cancel'
  | 'await'
  | 'promote'
  | 'retry'
  | 'retryAll'
  | 'removeJob'
  | 'look'
  | 'find'
  | 'upsert'
  | 'pause'
  | 'resume'
  | 'remove'
  | 'runNow'
  | 'list'
  | 'pauseQueue'
  | 'resumeQueue';
export type AskingAct = ActOf<Asking>;

/** Too much for a record. */
const WEIGHT = MAX_INLINE_BYTES;

const workOf = (
  token: string,
  { name, isLarge, options: { concurrencyKey: key } }: Item,
  { version }: Call,
): Work => ({
  token,
  ...(key !== undefined && { key }),
  ...(name === 'aged' && { version }),
  ...(isLarge && { weight: WEIGHT, ballast: ballastOf(token, WEIGHT) }),
});

export const OPERATIONS: { readonly [Do in Asking]: (call: Call, act: ActOf<Do>) => void } = {
  enqueue(call, { item, and }) {
    const { name, options } = item;
    const token = call.token();
    call.ask('enqueue', undefined, async () => {
      const handle = await call.engine.enqueue(name, workOf(token, item, call), options);
      const { id } = handle;
      call.tell({ kind: 'enqueued', id, name, token, ...expiring(options) });
      const target = { id, name, handle, engine: call.engine };
      call.known.push(target);
      if (and === 'await') call.ask('await', id, () => awaitEnd(call, target));
      if (and === 'cancel') call.ask('cancel', id, () => cancel(call, id));
    });
  },
  enqueueNamed(call, { n, item }) {
    const { name, options } = item;
    const id = `named-${name}-${n}`;
    call.known.push({ id, name });
    call.ask('enqueue by id', id, async () => {
      await call.engine.enqueue(name, workOf(id, item, call), { ...options, id });
      call.tell({ kind: 'enqueued', id, name, token: id, ...expiring(options) });
    });
  },
  enqueueKeyed(call, { n, held, onConflict, options }) {
    const uniqueKey = { key: `${held}-${n}`, while: held, onConflict };
    const token = call.token();
    call.ask('enqueue by key', undefined, async () => {
      const { id } = await call.engine.enqueue('work', { token }, { ...options, uniqueKey });
      // Whether that job carries this token is not told.
      call.tell({ kind: 'enqueued', id, name: 'work' });
      call.known.push({ id, name: 'work' });
    });
  },
  enqueueMany(call, { items }) {
    const token = call.token();
    const jobs = items.map((item, i) => {
      const { name, options } = item;
      const id = `many-${token}-${i}`;
      return { name, payload: workOf(id, item, call), options: { ...options, id } };
    });
    const together = jobs.map(({ options: { id } }) => id);
    call.known.push(...jobs.map(({ name, options: { id } }) => ({ id, name })));
    call.tell({ kind: 'asked', operation: 'enqueue many', together });
    call.ask('enqueue many', undefined, async () => {
      await call.engine.enqueueMany(jobs);
      for (const { name, options } of jobs)
        call.tell({ kind: 'enqueued', id: options.id, name, token: options.id, ...expiring(options) });
    });
  },
  enter,
  giveUp({ patience }, { n }) {
    patience.at(-1 - (n % patience.length))?.abort();
  },
  flood(call, { priorities }) {
    const token = call.token();
    const jobs = priorities.map((priority, i) => {
      return { name: 'work' as const, payload: { token: `${token}-${i}` }, options: { priority } };
    });
    call.ask('enqueue a flood', undefined, async () => {
      const handles = await call.engine.enqueueMany(jobs);
      for (const [i, { id }] of handles.entries()) {
        call.tell({ kind: 'enqueued', id, name: 'work', token: `${token}-${i}` });
        call.known.push({ id, name: 'work' });
      }
    });
  },
  enqueueFlow(call, { jobs }) {
    const token = call.token();
    const idOf = (i: number): string => `flow-${token}-${i}`;
    const flow = Object.fromEntries(
      jobs.map(({ item: { name, options }, parents, onParentFailure }, i) => {
        const before = jobs.flatMap((_job, at) => (at < i && (parents >> at) & 1 ? [`j${at}`] : []));
        const own = { ...options, id: idOf(i) };
        return [
          `j${i}`,
          { name, payload: { token: idOf(i) }, options: own, parents: before, onParentFailure },
        ];
      }),
    );
    const together = jobs.map((_job, i) => idOf(i));
    call.known.push(...jobs.map(({ item: { name } }, i) => ({ id: idOf(i), name })));
    call.tell({ kind: 'asked', operation: 'enqueue a flow', together });
    call.ask('enqueue a flow', undefined, async () => {
      await call.engine.enqueueFlow(flow, undefined);
      for (const [i, { item }] of jobs.entries())
        call.tell({ kind: 'enqueued', id: idOf(i), name: item.name, token: idOf(i), mayExpire: true });
    });
  },
  cancel(call, { n }) {
    withTarget(call, n, ({ id }) => call.ask('cancel', id, () => cancel(call, id)));
  },
  promote(call, { n }) {
    withTarget(call, n, ({ id }) =>
      call.ask('promote', id, async () => {
        const state = await call.engine.promote(id);
        if (state === 'scheduled' || state === 'retryable')
          call.tell({ kind: 'broke', message: `promote() of ${id} resolved with ${state}` });
      }),
    );
  },
  retry(call, { n }) {
    withEnded(call, n, GIVEN_UP, ({ id }) =>
      call.ask('retry', id, async () => {
        // Safe: of one job it is a state.
        const state = (await call.engine.retry(id)) as JobState;
        call.tell({ kind: 'retried', id, state });
      }),
    );
  },
  retryAll(call, { n }) {
    call.ask('retry', undefined, async () => {
      await call.engine.retry(RETRIED[n % RETRIED.length] ?? {});
      call.tell({ kind: 'retried' });
    });
  },
  removeJob(call, { n }) {
    withEnded(call, n, ENDED_STATES, ({ id, isRun }) => {
      if (isRun) return;
      call.ask('remove', id, async () => {
        const wasThere = await call.engine.remove(id);
        call.tell({ kind: 'removed', id, wasThere: wasThere === true });
      });
    });
  },
  find(call, { n }) {
    call.ask('find', undefined, async () => {
      const met = new Set<string>();
      for await (const { id, state } of call.engine.jobs(FILTERS[n % FILTERS.length])) {
        if (met.has(id)) call.tell({ kind: 'broke', message: `jobs() has listed ${id} twice` });
        met.add(id);
        if (isEnd(state)) call.tell({ kind: 'ended', id, state, by: 'snapshot' });
      }
    });
  },
  await(call, { n }) {
    withTarget(call, n, (target) => call.ask('await', target.id, () => awaitEnd(call, target)));
  },
  look(call, { n }) {
    withTarget(call, n, ({ id }) =>
      call.ask('look', id, async () => {
        const job = await call.engine.snapshot(id);
        if (!job) call.tell({ kind: 'refused', operation: 'look', id, code: 'MILLRACE_JOB_NOT_FOUND' });
        else if (isEnd(job.state)) call.tell({ kind: 'ended', id, state: job.state, by: 'snapshot' });
      }),
    );
  },
  upsert(call, { n, plan }) {
    const asked = PLANS[plan]?.(call.now());
    if (!asked) return;
    const schedule = nameOf(n);
    ask(call, { schedule, change: 'upsert', as: asAsked(asked) }, () =>
      call.engine.schedules.upsert(schedule, described(asked, { token: schedule })),
    );
  },
  pause(call, { n }) {
    const schedule = nameOf(n);
    ask(call, { schedule, change: 'pause' }, () => call.engine.schedules.pause(schedule));
  },
  resume(call, { n }) {
    const schedule = nameOf(n);
    ask(call, { schedule, change: 'resume' }, () => call.engine.schedules.resume(schedule));
  },
  remove(call, { n }) {
    const schedule = nameOf(n);
    ask(call, { schedule, change: 'remove' }, async () =>
      (await call.engine.schedules.remove(schedule)) ? undefined : NOT_FOUND,
    );
  },
  runNow(call, { n }) {
    const schedule = nameOf(n);
    ask(call, { schedule, change: 'runNow' }, async () => {
      const { id, name } = await call.engine.schedules.runNow(schedule);
      call.tell({ kind: 'enqueued', id, name });
      // Safe: all schedules name a job type of the catalogue.
      call.known.push({ id, name: name as Name, isRun: true });
      return { jobId: id };
    });
  },
  pauseQueue(call, { n }) {
    halt(call, n, 'pause');
  },
  resumeQueue(call, { n }) {
    halt(call, n, 'resume');
  },
  list(call) {
    call.ask('list', undefined, async () => {
      for (const { lastRun, job } of await call.engine.schedules.list())
        // Safe: as above.
        if (lastRun) call.known.push({ id: lastRun.jobId, name: job as Name, isRun: true });
    });
  },
};

/** One for each way in which jobs are found. */
const FILTERS: readonly JobFilter[] = [
  {},
  { state: ['completed', 'failed', 'cancelled'] },
  { state: 'available' },
  { state: ['scheduled', 'retryable'] },
  { state: 'running' },
];

/** What is run again where a filter says what. */
const RETRIED: readonly JobFilter[] = [
  { state: 'failed' },
  { state: ['failed', 'cancelled'] },
  { name: 'work' },
];

const GIVEN_UP: readonly JobState[] = ['failed', 'cancelled'];

const expiring = ({ expiresIn }: Item['options']): { mayExpire?: true } =>
  expiresIn === undefined ? {} : { mayExpire: true };

function ask(
  { durability, tell, token, ask }: Call,
  asked: Omit<Changing, 'kind' | 'call'>,
  perform: Parameters<typeof change>[3],
): void {
  ask(asked.change, undefined, () => change(tell, { ...asked, call: token() }, durability, perform));
}

/** @param n 0 for all queues, and else the number of one. */
export function halt(
  { engine, durability, tell, token, ask }: Call,
  n: number,
  change: Halting['change'],
): void {
  const queue = ['', ...Object.keys(queues)][n] ?? '';
  const call = token();
  ask(`${change} ${queue || 'all'}`, undefined, async () => {
    tell({ kind: 'halting', queue, change, call });
    await engine.pauses[change](queue || undefined);
    tell({ kind: 'halted', call, durability });
  });
}

/** One of the jobs that somebody has heard of; the last ones first, for they are the most alive. */
function withTarget({ known }: Call, n: number, then: (target: Target) => void): void {
  const target = known.at(-1 - (n % known.length));
  if (target) then(target);
}

/** Mostly one of the jobs of which was told that they have ended in one of those ways. */
function withEnded(call: Call, n: number, states: readonly JobState[], then: (target: Target) => void): void {
  const ended = new Set(
    call.facts.flatMap((fact) => (fact.kind === 'ended' && states.includes(fact.state) ? fact.id : [])),
  );
  const known = call.known.filter(({ id }) => ended.has(id));
  withTarget(n % 4 === 3 || known.length === 0 ? call : { ...call, known }, n, then);
}

async function cancel({ engine, tell }: Call, id: string): Promise<void> {
  const state = await engine.cancel(id);
  if (isEnd(state)) tell({ kind: 'ended', id, state, by: 'cancel' });
  else tell({ kind: 'broke', message: `cancel() of ${id} resolved with ${state}` });
}

/** Tells what the job came to; that the engine closes first is no end. */
async function awaitEnd({ engine, tell }: Call, { id, name, ...own }: Target): Promise<void> {
  try {
    // Safe: that is what all handlers return.
    const handle = own.handle && own.engine === engine ? own.handle : engine.handle(name, id);
    const result = (await handle.result()) as Done;
    tell({ kind: 'ended', id, state: 'completed', by: 'result', result });
  } catch (thrown) {
    if (thrown instanceof JobFailedError) tell({ kind: 'ended', id, state: 'failed', by: 'result' });
    else if (thrown instanceof JobCancelledError)
      tell({ kind: 'ended', id, state: 'cancelled', by: 'result' });
    else throw thrown;
  }
}
