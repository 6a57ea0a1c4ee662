/**
 * Composes the parts of an engine: which part is told what by which. It decides nothing. A part that is told of something
 * by one that is made before it is asked for when that happens (`parts()`), for by then all are there.
 */
import type { Clock } from '../clock.js';
import type { MillraceError } from '../errors.js';
import type { Job, JobState } from '../job/record.js';
import { hasEnded } from '../job/record.js';
import { KEPT_FOR_EVER } from '../job/retention.js';
import { heldUntil } from '../job/uniqueness.js';
import type { Journal } from '../journal/journal.js';
import type { Settings } from '../options.js';
import type { Pool } from '../pool/contract.js';
import { Alarm } from './alarm.js';
import type { Announcer } from './announcer.js';
import { Arrivals, type ArrivalsLinks } from './arrivals.js';
import { ArrivingIds } from './arriving-ids.js';
import { Backlog } from './backlog.js';
import { Compactor } from './compactor.js';
import { Control } from './control.js';
import { Dispatcher } from './dispatcher.js';
import { Entrance } from './entrance.js';
import { Executor } from './executor.js';
import { Explainer } from './explain.js';
import { Expirer } from './expirer.js';
import { FailureHooks } from './failure-hooks.js';
import { Flows } from './flows.js';
import { FollowUps } from './follow-ups.js';
import { Holds } from './holds.js';
import { IdleJobs } from './idle-jobs.js';
import { Intake } from './intake.js';
import { JobSearch } from './job-search.js';
import { JobViews } from './job-views.js';
import { KeySweeper } from './key-sweeper.js';
import { NewJobs } from './new-jobs.js';
import { Notes } from './notes.js';
import type { Outage } from './outage.js';
import { Pauses } from './pauses.js';
import { Preparation } from './preparation.js';
import { Pruner } from './pruner.js';
import { RateLimits } from './rate-limits.js';
import { Releaser } from './releaser.js';
import { bytesOf } from './remover.js';
import { Requests } from './requests.js';
import { Retries } from './retries.js';
import { Scheduling } from './scheduling.js';
import { SingleArrivals } from './single-arrivals.js';
import { Stager } from './stager.js';
import { Strays } from './strays.js';
import { Streams } from './streams.js';
import { Suspects } from './suspects.js';
import { UniqueKeys } from './unique-keys.js';

/** How many threads libuv gives to file access, LevelDB and native work of the whole process; read once, as libuv does. */
const LIBUV_POOL_SIZE = Number(process.env['UV_THREADPOOL_SIZE']) || 4;

/** What an engine is made of. */
export interface EngineParts {
  readonly settings: Settings;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly announcer: Announcer;
  readonly pools: Readonly<Record<'thread' | 'inline', Pool>>;
  /** Job types that work on libuv's pool, which the journal's commits need, too. */
  readonly nativeTypes: ReadonlySet<string>;
  /** In [0, 1), for the backoff's jitter. */
  readonly random: () => number;
  /** How many jobs of a type are kept in memory per queue; small where a test wants queues that are longer. */
  readonly windowSize?: number;
}

/** What the parts need of their engine. */
export interface Host {
  readonly outage: () => Outage;
  readonly mayClaim: () => boolean;
  readonly isClosing: () => boolean;
  /** Why nothing can be changed now. */
  readonly refusal: () => MillraceError | undefined;
  readonly assertWritable: () => void;
  readonly assertOpen: () => void;
  /** A committed job: from here on somebody looks after it. */
  readonly placed: (job: Job, place?: string) => void;
  readonly onPass: () => void;
  readonly onWarning: (error: MillraceError) => void;
  readonly handleOf: ArrivalsLinks['handleOf'];
  readonly read: (id: string) => Promise<Job>;
  readonly cancel: (id: string) => Promise<JobState>;
}

type Running = ReturnType<typeof composeRunning>;
type Arriving = ReturnType<typeof composeArriving>;
type Idle = ReturnType<typeof composeIdle>;
export type Parts = Running & Arriving & Idle & ReturnType<typeof composeLoops>;

export function composeParts(own: EngineParts, host: Host): Parts {
  let all: Parts | undefined;
  const parts = (): Parts => {
    if (!all) throw new Error('A part was asked for before all were there');
    return all;
  };
  const running = composeRunning(own, host, parts);
  const idle = composeIdle(own, host, running, parts);
  const arriving = composeArriving(own, host, { ...running, ...idle }, parts);
  const loops = composeLoops(own, host, { ...running, ...idle, ...arriving });
  all = { ...running, ...idle, ...arriving, ...loops };
  return all;
}

/** What chooses jobs, claims them and has them run. */
function composeRunning(own: EngineParts, host: Host, parts: () => Parts) {
  const { settings, journal, clock, announcer, random } = own;
  const { onWarning } = host;
  const wake = (): void => parts().dispatcher.wake();
  const types = [...settings.types.values()];
  const holds = new Holds();
  const rates = RateLimits.of(settings, { journal, clock });
  const backlog = new Backlog({
    journal,
    clock,
    queues: [...settings.queues.values()],
    selection: settings.selection,
    typeConcurrency: new Map(types.map(({ name, concurrency }) => [name, concurrency])),
    keyConcurrency: new Map(types.map(({ name, concurrencyPerKey }) => [name, concurrencyPerKey])),
    nativeTypes: own.nativeTypes,
    nativeConcurrency: Math.max(1, LIBUV_POOL_SIZE - 1),
    isPaused: (queue) => parts().pauses.holds(queue),
    rates,
    windowSize: own.windowSize,
    onRefill: wake,
    onWarning,
  });
  const preparation = new Preparation({ journal, clock, onWarning });
  const alarm = new Alarm(clock);
  const executor = new Executor({
    journal,
    clock,
    preparation,
    announcer,
    retries: new Retries({ random, onWarning }),
    backlog,
    alarm,
    rates,
    onSettled: host.placed,
    commitFollowUps: (attempt, change) => parts().followUps.commit(attempt, change),
    onFollowUps: (attempt) => parts().followUps.committed(attempt),
  });
  const hooks = new FailureHooks(settings.types, journal, onWarning);
  announcer.onFailed = (job, error) => hooks.failed(job, error);
  const pauses = new Pauses({
    journal,
    queues: settings.queues,
    durability: settings.durability,
    whenClaimed: () => executor.whenClaimed(),
    onChanged: wake,
    assertWritable: host.assertWritable,
  });
  const suspects = new Suspects({ journal, clock, executor, onWarning, wake });
  const dispatcher = new Dispatcher({
    backlog,
    executor,
    preparation,
    suspects,
    types: settings.types,
    pools: own.pools,
    isHeld: (id) => holds.has(id),
    mayClaim: host.mayClaim,
    onPass: host.onPass,
  });
  return { alarm, holds, rates, backlog, executor, pauses, suspects, dispatcher };
}

/** What is done to jobs that do not run. */
function composeIdle(
  own: EngineParts,
  host: Host,
  { alarm, holds, executor, backlog }: Running,
  parts: () => Parts,
) {
  const { settings, journal, clock, announcer } = own;
  const { onWarning, assertWritable, assertOpen } = host;
  const arriving = new ArrivingIds();
  const keys = new UniqueKeys({ journal, clock, arriving });
  const sweeper = new KeySweeper({ journal, clock, arriving, keys, onWarning });
  const compactor = new Compactor({ journal, onWarning });
  const strays = new Strays(journal, settings, onWarning);
  const placed = (job: Job): void => {
    strays.notice(job);
    host.placed(job);
  };
  const pruner = new Pruner({
    journal,
    clock,
    holds,
    retentionOf: (name) => settings.types.get(name)?.retention ?? KEPT_FOR_EVER,
    onRemoved: (id, bytes) => compactor.removed(id, bytes),
    onPass: () => {
      compactor.begin();
      sweeper.sweep();
    },
    onWarning,
  });
  const stager = new Stager({
    journal,
    clock,
    alarm,
    // After a power cut a job may be listed as available as well, and be about to be claimed for that.
    isHeld: (id) => holds.has(id) || executor.has(id),
    onPromoted: placed,
    onLost: (ids) => parts().releaser.lost(ids),
    onWarning,
  });
  const idle = new IdleJobs({
    journal,
    announcer,
    backlog,
    executor,
    stager,
    holds,
    onChanged: (job, before) => {
      pruner.changed(job, before);
      if (hasEnded(job.status)) host.placed(job);
      else placed(job);
      // It was retried, and its parents may have ended long ago.
      if (job.status.state === 'waiting') parts().releaser.look();
    },
    onRemoved: (job) => {
      pruner.left(job);
      compactor.removed(job.spec.id, bytesOf(job));
      parts().scheduling.noticeRemoved(job);
      if (job.spec.uniqueKey !== undefined) sweeper.notice(clock.now());
      // Who waits for it waits no more.
      if (job.spec.isParent) parts().releaser.look();
    },
    assertWritable,
  });
  const search = new JobSearch({ journal, executor, clock, onWarning, assertOpen });
  const control = new Control({ journal, clock, executor, idle, search, keys, assertWritable });
  const views = new JobViews({ journal, executor, search, read: host.read, onWarning });
  return { arriving, keys, sweeper, compactor, strays, pruner, stager, idle, control, views };
}

/** What brings jobs in. */
function composeArriving(own: EngineParts, host: Host, made: Running & Idle, parts: () => Parts) {
  const { settings, journal, clock, announcer } = own;
  const { onWarning, assertWritable, handleOf } = host;
  const { arriving, dispatcher, executor, idle, keys, sweeper } = made;
  const onAccepted = (job: Job, place: string | undefined): void => {
    const until = job.spec.uniqueKey === undefined ? undefined : heldUntil(job.spec);
    if (until !== undefined) sweeper.notice(until);
    announcer.enqueued(job);
    host.placed(job, place);
  };
  const arrivals = new Arrivals({
    journal,
    clock,
    results: announcer.results,
    onAccepted,
    claimNew: (job, record, change) => {
      const start = dispatcher.startNew(job);
      return start && executor.claimNew(start, job, record, change);
    },
    handleOf,
  });
  const newJobs = new NewJobs({ settings, journal, clock });
  const isOpen = (): boolean => !host.refusal() && !journal.failure;
  const entrance = Entrance.of(settings.queues.values(), { journal, isOpen });
  const followUps = new FollowUps({
    journal,
    clock,
    settings,
    newJobs,
    arrivals,
    arriving,
    onAccepted,
    onWarning,
  });
  const outage = (): MillraceError | undefined => host.outage().error;
  const requests = new Requests({ journal, executor, followUps, outage });
  const notes = new Notes({ journal, clock, executor, outage });
  const singles = new SingleArrivals({
    journal,
    clock,
    arrivals,
    arriving,
    newJobs,
    keys,
    idle,
    executor,
    handleOf,
    entrance,
    wake: () => dispatcher.wake(),
  });
  const intake = new Intake({ clock, settings, newJobs, arrivals, singles, entrance, assertWritable });
  const streams = new Streams({ clock, intake, assertWritable });
  const flows = new Flows({ journal, clock, arrivals, arriving, newJobs, intake, assertWritable, handleOf });
  const onImported = (job: Job, place: string | undefined): void => {
    made.pruner.imported(job);
    if (!hasEnded(job.status)) onAccepted(job, place);
    if (job.status.state === 'waiting') parts().releaser.look();
  };
  const imports = { journal, settings, arriving, keys, onImported, onWarning };
  return { arrivals, newJobs, entrance, followUps, requests, notes, intake, streams, flows, imports };
}

/** What goes on by itself, and who tells what holds a job up. */
function composeLoops(own: EngineParts, host: Host, made: Running & Idle & Arriving) {
  const { settings, journal, clock } = own;
  const { onWarning, assertWritable, assertOpen, cancel } = host;
  const { alarm, arrivals, arriving, dispatcher, executor, idle, newJobs } = made;
  const wake = (): void => dispatcher.wake();
  const releaser = new Releaser({ journal, clock, idle, onPass: wake, onWarning });
  const expirer = new Expirer({ journal, clock, alarm, idle, onFreed: wake, onWarning });
  const scheduling = new Scheduling({
    settings,
    journal,
    clock,
    newJobs,
    alarm,
    arrivals,
    arriving,
    onWarning,
    cancel,
    assertWritable,
    assertOpen,
  });
  const { backlog, holds, pauses, suspects, rates } = made;
  const explainer = new Explainer({
    ...own,
    backlog,
    executor,
    holds,
    pauses,
    suspects,
    rates,
    outage: host.outage,
    isClosing: host.isClosing,
  });
  return { releaser, expirer, scheduling, explainer };
}
