/**
 * What operators do to the engine of the workload: they stop queues and let them go on, and have jobs run sooner, or
 * again, or remove them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { MillraceError } from '../../src/index.js';
import { ENDED_STATES } from '../../src/job/record.js';
import { HALTABLE } from './catalogue.js';
import type { FactOf } from './facts.js';
import { operation, type Call, type Operation } from './operation.js';

/** For how long nothing starts: mostly until something else would have. */
const PAUSED_MS = 120;

/** The type whose jobs are handled all at once. */
const BATCH = 'batch';
/** What is told of jobs that are run again or removed: that it was asked for, and what came of it. */
const HANDLED = ['asked', 'retried', 'removed', 'refused'] as const;

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
  operation('promote', 3, ['refused'], async ({ session, target: { id } }) => {
    const state = await session.engine.promote(id);
    if (state === 'scheduled' || state === 'retryable')
      throw new Error(`promote() of ${id} resolved with ${state}`);
  }),
  operation('run again', 5, HANDLED, async (call) => {
    const { session, random } = call;
    const { gaveUp } = session;
    const own = gaveUp[random.integer(0, Math.max(0, gaveUp.length - 1))];
    const target = own && random.chance(0.8) ? own : call.target;
    if (target.isHeldUp) return;
    const { id } = target;
    await handle(call, 'retry', id, async () => ({
      kind: 'retried',
      id,
      state: await session.engine.retry(id),
    }));
  }),
  operation('take out', 3, HANDLED, async (call) => {
    const { id, isRun } = call.target;
    // Of what a schedule has enqueued, all is to be there in the end.
    if (isRun) return;
    await handle(call, 'remove', id, async () => {
      return { kind: 'removed', id, wasThere: await call.session.engine.remove(id) };
    });
  }),
  operation('cancel a batch', 1.5, ['asked', 'allCancelled'], async ({ session, report }) => {
    report({ kind: 'asked', operation: 'cancel', name: BATCH });
    await session.engine.cancel({ name: BATCH });
    report({ kind: 'allCancelled', name: BATCH });
  }),
  operation('run a batch again', 2, ['asked', 'retried'], async ({ session, report }) => {
    report({ kind: 'asked', operation: 'retry', name: BATCH });
    await session.engine.retry({ name: BATCH, state: ['failed', 'cancelled'] });
    report({ kind: 'retried', name: BATCH });
  }),
  operation('take out a batch', 1, ['asked', 'removed'], async ({ session, report }) => {
    report({ kind: 'asked', operation: 'remove', name: BATCH });
    await session.engine.remove({ name: BATCH, state: ENDED_STATES });
    report({ kind: 'removed', name: BATCH, wasThere: true });
  }),
  operation('promote a batch', 1, ['asked'], async ({ session, report }) => {
    report({ kind: 'asked', operation: 'promote', name: BATCH });
    await session.engine.promote({ name: BATCH });
  }),
];

/** Asks, and reports what comes of it. */
async function handle(
  { report }: Call<FactOf<(typeof HANDLED)[number]>>,
  operation: 'retry' | 'remove',
  id: string,
  perform: () => Promise<FactOf<'retried' | 'removed'>>,
): Promise<void> {
  report({ kind: 'asked', operation, id });
  try {
    report(await perform());
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    report({ kind: 'refused', operation, id, code: thrown.code });
  }
}
