/** Tells everybody who wants to know: listeners, whoever waits for a result, and the log. After the commit, always. */
import { asError, messageOf, MillraceError } from '../errors.js';
import { Emitter, type AttemptEvent, type JobEvent, type MillraceEvents } from '../events.js';
import { decode } from '../job/codec.js';
import { decodeError, type ErrorData } from '../job/error-data.js';
import type { Outcome } from '../job/outcome.js';
import { hasEnded, type AttemptRecord, type Job } from '../job/record.js';
import type { Logger } from '../options.js';
import type { LogLine, Task } from '../pool/contract.js';
import { Results } from './results.js';
import { instant } from './summary.js';

export class Announcer {
  readonly results = new Results();
  readonly emitter: Emitter;
  /** A job has failed, and that was told. @param error What it failed with, encoded. */
  onFailed: ((job: Job, error: Uint8Array) => void) | undefined;
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.emitter = new Emitter((event, thrown) => {
      const error = asError(thrown);
      const message = `A listener of ${event} threw: ${messageOf(thrown)}`;
      const warning = new MillraceError('MILLRACE_LISTENER_THREW', message, { cause: error });
      // A listener of warnings that throws is only logged, or it would hear of itself for ever.
      if (event === 'warning') this.#log('warn', { code: warning.code, err: error }, message, false);
      else this.warning(warning);
    });
  }

  warning(error: MillraceError): void {
    this.#log('warn', { code: error.code, err: error }, error.message);
    this.emitter.emit('warning', () => error);
  }

  enqueued({ spec }: Job): void {
    this.emitter.emit('enqueued', () => jobEvent({ spec }));
  }

  started(job: Job): void {
    this.emitter.emit('started', () => attemptEvent(job));
  }

  rescued({ spec }: Job): void {
    this.#log('info', jobEvent({ spec }), 'A job whose process died is available again');
    this.emitter.emit('rescued', () => jobEvent({ spec }));
  }

  drained(): void {
    this.emitter.emit('drained', () => ({}));
  }

  progress({ id, name, queue, attempt }: Task, value: Uint8Array): void {
    this.results.progressed(id, value);
    this.emitter.emit('progress', () => ({ id, name, queue, attempt, value: decode(value) }));
  }

  log({ id, name, attempt }: Task, { level, message, fields }: LogLine): void {
    this.#log(level, { ...fields, jobId: id, job: name, attempt }, message);
  }

  /**
   * An attempt is over.
   * @param before How the job was while it ran.
   * @param outcome What came of it, where that is known.
   */
  settled(before: Job, job: Job, outcome?: Outcome): void {
    const { status } = job;
    const last = status.errors?.at(-1);
    const previous = before.status.errors?.at(-1);
    // A cancelled job may have errors of earlier attempts; only a new one is news.
    const isOld = last?.attempt === previous?.attempt && last?.endedAt === previous?.endedAt;
    const news = isOld ? undefined : last;
    if (news) this.#errored(job, news);
    if (status.failure) this.#failed(job, decodeError(status.failure));
    if (status.state === 'completed') this.#completed(job);
    if (status.state === 'cancelled') this.emitter.emit('cancelled', () => cancelEvent(job));
    if (status.state === 'scheduled') this.#snoozed(job, outcome);
    if (hasEnded(status)) this.results.ended(job);
    const reason = status.failure ?? news?.error;
    if (reason && status.state === 'failed') this.onFailed?.(job, reason);
  }

  cancelled(job: Job): void {
    this.emitter.emit('cancelled', () => cancelEvent(job));
    this.results.ended(job);
  }

  #completed(job: Job): void {
    const { startedAt = 0, finishedAt = 0, result } = job.status;
    this.emitter.emit('completed', () => ({
      ...attemptEvent(job),
      result: result && decode(result),
      durationMs: finishedAt - startedAt,
    }));
  }

  /** It is no event: nothing has gone wrong, and nothing has been done. */
  #snoozed(job: Job, outcome: Outcome | undefined): void {
    const { id, name } = job.spec;
    const { attempt, snoozes, runAt } = job.status;
    const thrown = outcome?.kind === 'snoozed' ? outcome.error : undefined;
    const error = thrown && decodeError(thrown);
    const fields = { jobId: id, job: name, attempt: attempt + 1, snoozes, runAt, ...(error && { error }) };
    this.#log('info', fields, `Job ${name} was snoozed${error ? `: ${error.message}` : ''}`);
  }

  #errored(job: Job, record: AttemptRecord): void {
    const error = decodeError(record.error);
    const { runAt } = job.status;
    this.emitter.emit('errored', () => ({ ...attemptEvent(job), error }));
    if (job.status.state === 'failed') this.#failed(job, error);
    else if (runAt !== undefined) {
      const { id, name } = job.spec;
      const when = `is tried again at ${instant(runAt)}, for attempt ${job.status.attempt} errored`;
      const fields = { ...errorFields(job, error), runAt };
      this.#log('warn', fields, `Job ${name} ${id} ${when} (${said(error)})`);
      this.emitter.emit('retrying', () => ({ ...attemptEvent(job), error, runAt }));
    }
  }

  #failed(job: Job, error: ErrorData): void {
    this.#log('error', errorFields(job, error), `Job ${job.spec.name} ${job.spec.id} failed: ${said(error)}`);
    this.emitter.emit('failed', () => ({ ...attemptEvent(job), error }));
  }

  /** A logger that throws must not stop a job. */
  #log(level: LogLine['level'], fields: object, text: string, isTold = true): void {
    try {
      this.#logger[level](fields, text);
    } catch (thrown) {
      // With a listener and a logger that both throw there is nobody left to tell.
      if (!isTold) return;
      const message = `The logger threw: ${messageOf(thrown)}`;
      const warning = new MillraceError('MILLRACE_LISTENER_THREW', message, { cause: asError(thrown) });
      this.emitter.emit('warning', () => warning);
    }
  }
}

const said = ({ message }: ErrorData): string => message || 'without a message';

const jobEvent = ({ spec }: Pick<Job, 'spec'>): JobEvent => ({
  id: spec.id,
  name: spec.name,
  queue: spec.queue,
});
const cancelEvent = ({ spec, status }: Job): MillraceEvents['cancelled'] => ({
  ...jobEvent({ spec }),
  ...(status.cancelReason !== undefined && { reason: status.cancelReason }),
});
const attemptEvent = (job: Job): AttemptEvent => ({ ...jobEvent(job), attempt: job.status.attempt });
const errorFields = ({ spec, status }: Job, error: ErrorData): object => ({
  jobId: spec.id,
  job: spec.name,
  attempt: status.attempt,
  error,
});
