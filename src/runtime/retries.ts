/**
 * Decides what follows an attempt that did not complete: whether its job gets another one, and when. Here, and nowhere
 * else, the functions of its job type are asked that have a say in that; what they do wrong becomes a warning, and costs
 * no job.
 */
import { asError, messageOf, MillraceError, show, type MillraceErrorCode } from '../errors.js';
import { backoffMs, DEFAULT_BACKOFF } from '../job/backoff.js';
import { toMs } from '../job/duration.js';
import { decodeError, encodeError, fromErrorData } from '../job/error-data.js';
import type { Outcome } from '../job/outcome.js';
import type { Job } from '../job/record.js';
import { snoozedTooOften } from '../job/snooze.js';
import type { Retry } from '../job/transitions.js';
import type { JobTypeSettings } from '../job-options.js';

export interface RetriesLinks {
  /** In [0, 1), for the backoff's jitter. */
  readonly random: () => number;
  readonly onWarning: (error: MillraceError) => void;
}

export class Retries {
  readonly #links: RetriesLinks;

  constructor(links: RetriesLinks) {
    this.#links = links;
  }

  /**
   * What an attempt of the job comes to, where it may not be snoozed any more.
   * @param job As it ran.
   */
  bounded(outcome: Outcome, { status }: Job, { maxSnoozes }: JobTypeSettings): Outcome {
    if (outcome.kind !== 'snoozed' || (status.snoozes ?? 0) < maxSnoozes) return outcome;
    const { error = encodeError(snoozedTooOften(maxSnoozes)), delayMs } = outcome;
    return { kind: 'errored', error, unrecoverable: false, retryAfterMs: delayMs };
  }

  /**
   * @param job As it ran.
   * @returns nothing where no other attempt follows from that.
   */
  after(outcome: Outcome, { spec, status }: Job, type: JobTypeSettings): Retry | undefined {
    if (outcome.kind !== 'errored' && outcome.kind !== 'timedOut' && outcome.kind !== 'crashed')
      return undefined;
    // Whatever it errored with, it ends cancelled.
    if (status.cancelRequestedAt !== undefined) return undefined;
    if (outcome.kind === 'errored' && outcome.unrecoverable) return undefined;
    // Of a job that was retried those before that count no more.
    const used = status.attempt - (status.attemptsBefore ?? 0);
    if (used >= (spec.maxAttempts ?? type.maxAttempts)) return undefined;
    const errorOf = (): Error => fromErrorData(decodeError(outcome.error));
    if (!this.#isRetryable(spec.id, type, errorOf)) return undefined;
    const delayMs = this.#delayMs(spec.id, used, type, errorOf);
    const leastMs = outcome.kind === 'errored' ? outcome.retryAfterMs : undefined;
    return { delayMs: leastMs === undefined ? delayMs : Math.max(delayMs, leastMs) };
  }

  #isRetryable(id: string, { name, isRetryable }: JobTypeSettings, errorOf: () => Error): boolean {
    if (!isRetryable) return true;
    try {
      const answer: unknown = isRetryable(errorOf());
      if (typeof answer === 'boolean') return answer;
      ignoreRejection(answer);
      throw new TypeError(`it returned ${show(answer)}, and neither true nor false`);
    } catch (thrown) {
      const message = `isRetryable of job type ${name}, asked about job ${id}, failed, and the job is tried again`;
      this.#warn('MILLRACE_IS_RETRYABLE_INVALID', message, thrown);
      return true;
    }
  }

  #delayMs(id: string, attempt: number, { name, backoff }: JobTypeSettings, errorOf: () => Error): number {
    const random = this.#links.random();
    if (backoff.type !== 'function') return backoffMs(backoff, attempt, random);
    try {
      const delay = backoff.delayOf(attempt, errorOf());
      ignoreRejection(delay);
      return toMs(delay, 'what it returns');
    } catch (thrown) {
      const message = `The backoff function of job type ${name}, asked about job ${id}, failed, and the default backoff is used`;
      this.#warn('MILLRACE_BACKOFF_INVALID', message, thrown);
      return backoffMs(DEFAULT_BACKOFF, attempt, random);
    }
  }

  #warn(code: MillraceErrorCode, message: string, thrown: unknown): void {
    const error = new MillraceError(code, `${message}: ${messageOf(thrown)}`, { cause: asError(thrown) });
    this.#links.onWarning(error);
  }
}

/** Of a promise that nobody asked for: it must not end the process. */
function ignoreRejection(value: unknown): void {
  Promise.resolve(value).catch(() => {});
}
