/**
 * What the workload does to the engine: one table. A feature of the engine's adds its operation here: how often it is
 * drawn, what it reports as acknowledged, and what it does.
 */
import { JobCancelledError, JobFailedError, MillraceError, type JobHandle } from '../../src/index.js';
import { isEnd } from '../../src/job/record.js';
import { cancel, CONTROLS } from './controls.js';
import { enqueue, ENQUEUES } from './enqueues.js';
import type { Done, Ended, FactOf, Step } from './facts.js';
import { NEW_JOB, operation, type Call, type Operation } from './operation.js';
import type { AskedSchedule } from './rhythm-model.js';
import { SCHEDULE_NAMES, SCHEDULES } from './schedules.js';
import type { Target } from './session.js';

/** What is asked of schedules, and how often. */
const CHANGES = { pause: 0.15, resume: 0.3, remove: 0.1, runNow: 0.3 } as const;
const GIVEN_UP = new Error('as it was told to');

/** What is told of a new job with which something is done. */
const NEW = ['enqueued', 'asked', 'ended', 'progressed', 'refused'] as const;

export const OPERATIONS: readonly [Operation, ...Operation[]] = [
  operation('enqueue', 20, ['enqueued'], async (call) => void (await enqueue(call))),
  operation('enqueue and await', 12, NEW, (call) => withNew(call, (handle) => awaitEnd(call, handle))),
  operation('enqueue and follow', 4, NEW, (call) =>
    withNew(call, async (handle) => {
      for await (const value of handle.progress()) {
        // Safe: all handlers are handler.ts.
        call.report({ kind: 'progressed', id: handle.id, by: 'handle', value: value as Step });
      }
    }),
  ),
  operation('enqueue and cancel', 6, NEW, (call) =>
    withNew(call, async ({ id }) => {
      // Should the process die behind its end, nothing else tells that it may have ended.
      call.report({ kind: 'asked', operation: 'cancel', id });
      await cancel(call, id);
    }),
  ),
  ...ENQUEUES,
  operation('await', 6, ['ended', 'refused'], ({ session, target, report }) =>
    awaitEnd({ report }, session.engine.handle(target.name, target.id)),
  ),
  operation('await for a while', 4, ['ended', 'refused'], async ({ session, random, target, report }) => {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(GIVEN_UP), random.integer(0, 30));
    try {
      await awaitEnd({ report }, session.engine.handle(target.name, target.id), giveUp.signal);
    } catch (thrown) {
      // The job goes on.
      if (thrown !== GIVEN_UP) throw thrown;
    } finally {
      clearTimeout(timer);
    }
  }),
  operation('cancel', 8, ['ended', 'refused'], (call) => cancel(call, call.target.id)),
  operation('look', 6, ['ended', 'refused'], async ({ session, target: { id }, report }) => {
    const job = await session.engine.job(id);
    if (!job) report({ kind: 'refused', operation: 'look', id, code: 'MILLRACE_JOB_NOT_FOUND' });
    else if (isEnd(job.state)) report({ kind: 'ended', id, state: job.state, by: 'snapshot' });
  }),
  operation('describe a schedule', 1, ['changing', 'answered'], ({ session, random }) => {
    const name = random.pick(SCHEDULE_NAMES);
    return session.change(name, 'upsert', random.pick<AskedSchedule>(SCHEDULES[name].as));
  }),
  ...(['pause', 'resume', 'remove', 'runNow'] as const).map((what) =>
    operation(`${what} a schedule`, CHANGES[what], ['changing', 'answered'], ({ session, random }) =>
      session.change(random.pick(SCHEDULE_NAMES), what),
    ),
  ),
  operation('list the schedules', 0.3, [], async ({ session }) => {
    for (const { lastRun, job } of await session.engine.schedules.list())
      // Safe: they enqueue jobs of the catalogue.
      if (lastRun) session.known.push({ id: lastRun.jobId, name: job as Target['name'], isRun: true });
  }),
  ...CONTROLS,
  operation('close and open', 0.5, [], ({ session, random }) => session.reopen(random.integer(0, 30))),
];

/** Does something with a new job; somebody may have removed it meanwhile. */
async function withNew(
  call: Call<FactOf<(typeof NEW)[number]>>,
  perform: (handle: JobHandle<Target['name'], Done>) => Promise<void>,
): Promise<void> {
  const handle = await enqueue(call);
  try {
    await perform(handle);
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    call.report({ kind: 'refused', operation: NEW_JOB, id: handle.id, code: thrown.code });
  }
}

/** Reports what the job came to; that the engine closes first is no end. */
async function awaitEnd(
  { report }: Pick<Call<Ended>, 'report'>,
  handle: JobHandle<string, Done>,
  signal?: AbortSignal,
): Promise<void> {
  const { id } = handle;
  try {
    const result = await handle.result(signal && { signal });
    report({ kind: 'ended', id, state: 'completed', by: 'result', result });
  } catch (thrown) {
    if (thrown instanceof JobFailedError) report({ kind: 'ended', id, state: 'failed', by: 'result' });
    else if (thrown instanceof JobCancelledError)
      report({ kind: 'ended', id, state: 'cancelled', by: 'result' });
    else throw thrown;
  }
}
