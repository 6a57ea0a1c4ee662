/** The public surface, nothing else. */
export { systemClock } from './clock.js';
export type { Clock, Timer, TimerOptions } from './clock.js';
export { defineJobs, inlineJob, threadJob } from './define.js';
export type {
  HandlerModule,
  InlineJob,
  JobCatalogue,
  JobOverrides,
  JobPayload,
  JobResult,
  JobType,
  JobTypeOptions,
  SchemaOption,
  ThreadJob,
} from './define.js';
export type { ImportCounts, JobEngine, StreamCounts } from './engine.js';
export type { EnqueueArguments, EnqueueItem, JobHandles, JobSnapshots } from './items.js';
export {
  DeadlineError,
  ExpiredError,
  ImportError,
  JobCancelledError,
  JobFailedError,
  JournalLockedError,
  MillraceError,
  StreamError,
  PayloadInvalidError,
  TimeoutError,
  UniqueConflictError,
  UnrecoverableError,
} from './errors.js';
export type { MillraceErrorCode, StoredError } from './errors.js';
export type { AttemptEvent, JobEvent, Listener, MillraceEvents } from './events.js';
export type { BusyJob, Explanation, LimitReached, OpenParent, Reason } from './explanation.js';
export type { FlowHandles, FlowJob, FlowLinks } from './flow.js';
export type { Backoff, BackoffFunction, ComputedBackoff, Jitter } from './job/backoff.js';
export type { JobLog } from './job/context.js';
export type { Duration } from './job/duration.js';
export type { ErrorData } from './job/error-data.js';
export type { Durability, JobCounts, JobState, OnParentFailure } from './job/record.js';
export { RetryAfterError } from './job/snooze.js';
export type { RateLimit } from './job/rate-limit.js';
export type { Retention } from './job/retention.js';
export type { JobFilter, NamedFilter } from './job-filter.js';
export type { EnqueueFollowUp, FollowUp, FollowUpOptions, JobContext, Register } from './job-context.js';
export type { AttemptError, CancelOptions, JobHandle, JobLogLine, JobSnapshot } from './job-handle.js';
export type { BackupReport } from './journal/backup.js';
export type { JournalDamage, JournalReport, RepairReport, SalvagedJob } from './journal/report.js';
export { Millrace } from './millrace.js';
export type { EnqueueOptions } from './job-options.js';
export type { UniqueKeyOptions } from './unique-options.js';
export type { Logger, MillraceOptions, QueueOptions, ThreadOptions } from './options.js';
export type { OnFull } from './queue/admission.js';
export type { Selection } from './queue/selector.js';
export type { Schedule, ScheduleLimits, ScheduleTiming } from './schedule-options.js';
export type { Misfire, Overlap, Run as ScheduleRun, RunOutcome } from './schedule/record.js';
export type { Schedules, ScheduleSnapshot } from './schedules.js';
export type { CloseOnSignals, CloseSignal } from './signals.js';
