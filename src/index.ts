/** The public surface, nothing else. */
export { defineJobs, inlineJob, threadJob } from './define.js';
export type { HandlerModule, InlineJob, JobCatalogue, JobType, JobTypeOptions, ThreadJob } from './define.js';
export { JobCancelledError, JobFailedError, MillraceError, UnrecoverableError } from './errors.js';
export type { MillraceErrorCode } from './errors.js';
export type { Backoff } from './job/backoff.js';
export type { JobContext, JobLog } from './job/context.js';
export type { Duration } from './job/duration.js';
