/**
 * What operators do to the engine of the workload: they stop queues and let them go on, and have jobs run sooner, or
 * again, or remove them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { MillraceError } from '../../src/index.js';
import { ENDED_STATES, isEnd, type JobState } from '../../src/job/record.js';
import type { Handling } from './again.js';
import { BATCH, HALTABLE, type Engine } from './catalogue.js';
import { enqueueBatch } from './enqueues.js';
import type { Ended, FactOf, Seen } from './facts.js';
import { operation, type Call, type Operation } from './operation.js';

/** For how long nothing starts: mostly until something else would have. */
const PAUSED_MS = 120;

/** What is told of what is done to jobs: that it was asked for, what came of it, and what somebody sees who looks then. */
const HANDLED = [
  'asked',
  'enqueued',
  'ended',
  'retried',
  'promoted',
  'removed',
  'allCancelled',
  'refused',
  'looking',
  'seen',
] as const;
type Handled = FactOf<(typeof HANDLED)[number]>;

/** Of those that wait until they are due. */
const LATER_STATES = ['scheduled', 'retryable'] as const;

/** What can be told of all jobs of a type without going through all jobs there are. */
const SEEN_STATES = [LATER_STATES, ENDED_STATES] as const;

export const LOOK = operation('look at a batch', 1, HANDLED, async (call) => {
  for (const [i, states] of SEEN_STATES.entries())
    await lookAtAll({ ...call, token: `${call.token}-${i}` }, states);
});

/** What is done to all jobs of a type, and what who looks then sees of it. */
export const BATCHES: readonly [Operation, ...Operation[]] = [
  operation('run a batch again', 2, HANDLED, (call) =>
    aroundBatch(call, cancelBatch, async () => {
      await handle(call, 'retry', { name: BATCH }, async (engine) => {
        await engine.retry({ name: BATCH, state: ['failed', 'cancelled'] });
        return { kind: 'retried', name: BATCH };
      });
      await lookAtAll(call, ENDED_STATES);
    }),
  ),
  operation('take out a batch', 2, HANDLED, async (call) => {
    // The one before has left none.
    await cancelBatch(call);
    await handle(call, 'remove', { name: BATCH }, async (engine) => {
      await engine.remove({ name: BATCH, state: ENDED_STATES });
      return { kind: 'removed', name: BATCH, wasThere: true };
    });
    await lookAtAll(call, ENDED_STATES);
  }),
  operation('promote a batch', 2, HANDLED, (call) =>
    aroundBatch(call, putOffBatch, async () => {
      await handle(call, 'promote', { name: BATCH }, async (engine) => {
        await engine.promote({ name: BATCH });
        return { kind: 'promoted', name: BATCH };
      });
      await lookAtAll(call, LATER_STATES);
    }),
  ),
];

export const CONTROLS: readonly Operation[] = [
  operation('pause for a while', 4, ['halting', 'halted'], async ({ session, random }) => {
    const queue = random.pick(HALTABLE);
    const pausedMs = random.integer(0, PAUSED_MS);
    await session.halt(queue, 'pause');
    await wait(pausedMs);
    await session.halt(queue, 'resume');
  }),
  // What was paused when a process was killed is, until somebody sees to it.
  operation('resume all', 2, ['halting', 'halted'], ({ session }) => session.resumeAll()),
  operation('have due', 3, HANDLED, async (call) => {
    // Few others wait.
    const [own] = call.random.chance(0.4) ? await enqueueBatch(call, 1) : [];
    const id = own ?? call.target.id;
    await handle(call, 'promote', { id }, async (engine) => {
      const state = await engine.promote(id);
      if (state === 'scheduled' || state === 'retryable')
        throw new Error(`promote() of ${id} resolved with ${state}`);
      return { kind: 'promoted', id, state };
    });
    await lookAt(call, id);
  }),
  operation('run again', 5, HANDLED, async (call) => {
    const { session, random } = call;
    const { gaveUp } = session;
    const own = gaveUp[random.integer(0, Math.max(0, gaveUp.length - 1))];
    const target = own && random.chance(0.8) ? own : call.target;
    if (target.isHeldUp) return;
    const { id } = target;
    await handle(call, 'retry', { id }, async (engine) => ({
      kind: 'retried',
      id,
      state: await engine.retry(id),
    }));
  }),
  operation('take out', 3, HANDLED, async (call) => {
    const { id, isRun } = call.target;
    // Of what a schedule has enqueued, all is to be there in the end.
    if (isRun) return;
    await handle(call, 'remove', { id }, async (engine) => {
      return { kind: 'removed', id, wasThere: await engine.remove(id) };
    });
  }),
  operation('cancel a batch', 1.5, HANDLED, (call) =>
    handle(call, 'cancel', { name: BATCH }, async (engine) => {
      await engine.cancel({ name: BATCH });
      return { kind: 'allCancelled', name: BATCH };
    }),
  ),
  LOOK,
  ...BATCHES,
];

/** @param prepare What there is something to do to comes before, or is left for the next call, of another process perhaps. */
async function aroundBatch(
  call: Call<Handled>,
  prepare: (call: Call<Handled>) => Promise<unknown>,
  perform: () => Promise<void>,
): Promise<void> {
  const isFirst = call.random.chance(0.5);
  if (isFirst) await prepare(call);
  await perform();
  if (!isFirst) await prepare(call);
}

const putOffBatch = (call: Call<Handled>): Promise<string[]> => enqueueBatch(call, call.random.integer(1, 4));

/** Some that have not begun, and never will but where they are run again. */
async function cancelBatch(call: Call<Handled>): Promise<void> {
  const { report } = call;
  const ids = await putOffBatch(call);
  await Promise.all(
    ids.map(async (id) => {
      report({ kind: 'asked', operation: 'cancel', id });
      try {
        await cancel(call, id);
      } catch (thrown) {
        // Another call may have removed it.
        if (!(thrown instanceof MillraceError)) throw thrown;
        report({ kind: 'refused', operation: 'cancel', id, code: thrown.code });
      }
    }),
  );
}

export async function cancel({ session, report }: Call<Ended>, id: string): Promise<void> {
  const state = await session.engine.cancel(id);
  if (!isEnd(state)) throw new Error(`cancel() of ${id} resolved with ${state}`);
  report({ kind: 'ended', id, state, by: 'cancel' });
}

/** Asks, and reports what comes of it. @param of One job, or all of a type. */
async function handle(
  { session, token, report }: Call<Handled>,
  operation: Handling['operation'],
  of: { readonly id: string } | { readonly name: string },
  perform: (engine: Engine) => Promise<FactOf<'retried' | 'promoted' | 'removed' | 'allCancelled'>>,
): Promise<void> {
  report({ kind: 'asked', operation, ...of, call: token });
  try {
    report({ ...(await perform(session.engine)), call: token });
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    const about = 'id' in of ? of : {};
    report({ kind: 'refused', operation, ...about, code: thrown.code, call: token });
  }
}

/** Reports what is told of a job. */
async function lookAt({ session, token, report }: Call<Handled>, id: string): Promise<void> {
  report({ kind: 'looking', call: token });
  const job = await session.engine.job(id);
  report({ kind: 'seen', call: token, jobs: job ? [seen(job)] : [] });
}

/** And of all of a batch. */
async function lookAtAll(
  { session, token, report }: Call<Handled>,
  state: readonly JobState[],
): Promise<void> {
  report({ kind: 'looking', call: token });
  const jobs: Seen[] = [];
  for await (const job of session.engine.jobs({ name: BATCH, state })) jobs.push(seen(job));
  report({ kind: 'seen', call: token, jobs });
}

const seen = ({ id, state, retries }: Seen): Seen => ({
  id,
  state,
  ...(retries !== undefined && { retries }),
});
