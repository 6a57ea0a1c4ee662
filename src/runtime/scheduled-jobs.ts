/** The jobs of schedules, as they are enqueued for a tick. */
import { createHash } from 'node:crypto';
import { checkJobName, checkQueueName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, PayloadInvalidError } from '../errors.js';
import { checkPayload, encodePayload, isThenable, type PayloadRules } from '../job/payload.js';
import type { JobSpec } from '../job/record.js';
import type { Settings } from '../options.js';
import type { MakePayload } from '../schedule-options.js';
import type { Schedule } from '../schedule/record.js';
import type { NewJobs } from './new-jobs.js';

export interface ScheduledJobsLinks {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly newJobs: NewJobs;
}

export class ScheduledJobs {
  readonly #links: ScheduledJobsLinks;
  readonly #makers = new Map<string, MakePayload>();

  constructor(links: ScheduledJobsLinks) {
    this.#links = links;
  }

  /** What makes the payloads of a schedule that stores none, other than the one that was declared. */
  setMaker(name: string, make: MakePayload | undefined): void {
    if (make) this.#makers.set(name, make);
    else this.#makers.delete(name);
  }

  /** An id that no other job has. */
  newId(): string {
    return this.#links.newJobs.newId();
  }

  /**
   * @param id By default one that no other job has.
   * @param jitterMs By default the schedule's.
   * @throws MillraceError, and what a payload function throws.
   */
  specOf(
    schedule: Schedule,
    scheduledFor: number,
    { id, jitterMs = schedule.definition.jitterMs }: { id?: string; jitterMs?: number },
  ): JobSpec {
    const { settings, clock, newJobs } = this.#links;
    const { name, definition } = schedule;
    const { options } = definition;
    const type = checkJobName(definition.job, settings.types, 'its `job` to be the name of a job type');
    checkQueueName(options.queue ?? type.queue, settings.queues, 'options.queue');
    const spec = newJobs.specOf(type, this.#payloadOf(schedule, type, scheduledFor), options, id);
    // A stored payload is of the version that it was stored for.
    if (definition.payload) delete spec.payloadVersion;
    if (definition.payloadVersion !== undefined) spec.payloadVersion = definition.payloadVersion;
    spec.schedule = name;
    spec.scheduledFor = scheduledFor;
    const runAt = scheduledFor + jitterOf(name, scheduledFor, jitterMs);
    if (runAt > clock.now()) spec.runAt = runAt;
    return spec;
  }

  /** A payload that is stored was checked when it was. */
  #payloadOf({ name, definition }: Schedule, type: PayloadRules, scheduledFor: number): Uint8Array {
    if (definition.payload) return definition.payload;
    const make = this.#makers.get(name) ?? this.#links.settings.schedules.get(name)?.makePayload;
    if (make) return accepted(type, valueOf(make(scheduledFor)));
    const message =
      'Its payload is made by a function, and the code has not given that since the engine was opened';
    throw new MillraceError('MILLRACE_SCHEDULE_BLOCKED', message);
  }
}

/** From 0 up to and including `jitterMs`: the same whenever it is asked for. */
function jitterOf(name: string, scheduledFor: number, jitterMs: number): number {
  if (jitterMs === 0) return 0;
  const hash = createHash('sha256').update(`${name}@${scheduledFor}`).digest();
  return Math.floor((hash.readUInt32BE() / 2 ** 32) * (jitterMs + 1));
}

/** A tick waits for nothing: what an async schema says of its payload, it says before the job runs. */
function accepted(type: PayloadRules, payload: unknown): Uint8Array {
  const bytes = encodePayload(type, payload);
  checkPayload(type, payload)?.catch(() => {});
  return bytes;
}

/** Who returns a promise is told so, and what becomes of that is nobody's affair: least of all does it end the process. */
function valueOf(made: unknown): unknown {
  if (!isThenable(made)) return made;
  Promise.resolve(made).catch(() => {});
  const message = 'Its payload function returns a promise, and a payload was expected: it must not be async';
  throw new PayloadInvalidError(message);
}
