/** What a handler is given beside its payload, with the types of the jobs that it can enqueue. */
import type { JobPayload, JobType } from './define.js';
import type { JobContext as AnyJobContext } from './job/context.js';
import type { EnqueueOptions } from './job-options.js';

/**
 * Tells handlers the names and payloads of the app's jobs, so that `job.enqueue()` is checked by the compiler. A handler's
 * module cannot import the type of the catalogue, which imports the module; so an app says it once, for all of them:
 *
 * ```ts
 * declare module 'millrace' {
 *   interface Register {
 *     jobs: { sendEmail: { to: string }; cleanUp: undefined };
 *   }
 * }
 * ```
 *
 * `jobs: typeof jobs`, the catalogue itself, works, too, where each handler that enqueues declares what it returns.
 */
// What an app adds to it is all there is in it.
export interface Register {}

/** A job that comes with the completion of the one that enqueued it. */
export interface FollowUp {
  /** What it will have once it is there; `Millrace.handle()` takes it. */
  readonly id: string;
}

/** A queue that is full takes it all the same, so there is nothing to wait for, and no `signal`. */
export type FollowUpOptions = Omit<EnqueueOptions, 'signal'>;

type FollowUpArguments<Payload> = undefined extends Payload
  ? [payload?: Payload, options?: FollowUpOptions]
  : [payload: Payload, options?: FollowUpOptions];

/** A payload, or that of a job type of a catalogue. */
type RegisteredPayload<Registered> = Registered extends JobType ? JobPayload<Registered> : Registered;

/** `job.enqueue()`, for what an app has registered; without that it takes any name and payload. */
export type EnqueueFollowUp<Registered> = Registered extends { jobs: infer Jobs }
  ? <Name extends keyof Jobs & string>(
      name: Name,
      ...rest: FollowUpArguments<RegisteredPayload<Jobs[Name]>>
    ) => Promise<FollowUp>
  : (name: string, payload?: unknown, options?: FollowUpOptions) => Promise<FollowUp>;

/** {@inheritDoc AnyJobContext} */
export interface JobContext extends AnyJobContext {
  /** {@inheritDoc AnyJobContext.enqueue} */
  enqueue: EnqueueFollowUp<Register>;
}
