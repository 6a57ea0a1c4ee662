/** The hooks that job types have for their jobs' failure: called after the commit, and harming nobody. */
import { asError, messageOf, MillraceError } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import { isPayloadLost } from '../job/payload-file.js';
import type { Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { JobTypeSettings } from '../job-options.js';
import { snapshotOf } from './snapshot.js';

export class FailureHooks {
  readonly #types: ReadonlyMap<string, JobTypeSettings>;
  readonly #journal: Pick<Journal, 'payloadOf'>;
  readonly #onWarning: (error: MillraceError) => void;

  constructor(
    types: ReadonlyMap<string, JobTypeSettings>,
    journal: Pick<Journal, 'payloadOf'>,
    onWarning: (error: MillraceError) => void,
  ) {
    this.#types = types;
    this.#journal = journal;
    this.#onWarning = onWarning;
  }

  /** @param error What the job failed with, encoded. */
  failed(job: Job, error: Uint8Array): void {
    const onFailed = this.#types.get(job.spec.name)?.onFailed;
    if (onFailed) void this.#call(onFailed, job, error);
  }

  async #call(
    onFailed: NonNullable<JobTypeSettings['onFailed']>,
    job: Job,
    error: Uint8Array,
  ): Promise<void> {
    try {
      const whole = job.spec.payloadFile ? await this.#withPayload(job) : job;
      await onFailed(snapshotOf(whole, false), fromErrorData(decodeError(error)));
    } catch (thrown) {
      const { id, name } = job.spec;
      const message = `onFailed of job type ${name}, called for job ${id}, failed: ${messageOf(thrown)}`;
      const cause = asError(thrown);
      this.#onWarning(new MillraceError('MILLRACE_ON_FAILED_THREW', message, { cause }));
    }
  }

  /** Where the payload is lost, which may be why the job failed, there is none. */
  async #withPayload({ spec, status }: Job): Promise<Job> {
    try {
      return { spec: { ...spec, payload: await this.#journal.payloadOf(spec) }, status };
    } catch (thrown) {
      if (isPayloadLost(thrown)) return { spec, status };
      throw thrown;
    }
  }
}
