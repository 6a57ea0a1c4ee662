/** The jobs of schedules, as they are enqueued for a tick. */
import { createHash } from 'node:crypto';
import { checkJobName, checkQueueName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Draft, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { Settings } from '../options.js';
import type { MakePayload } from '../schedule-options.js';
import type { Schedule } from '../schedule/record.js';
import { JobIds } from './job-ids.js';

export interface ScheduledJobsLinks {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly journal: Journal;
}

export class ScheduledJobs {
  readonly #links: ScheduledJobsLinks;
  readonly #ids = new JobIds();
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
    return this.#ids.next(this.#links.clock.now(), this.#links.journal.nextSequence());
  }

  /**
   * @param id By default one that no other job has.
   * @param jitterMs By default the schedule's.
   * @throws MillraceError, and what a payload function throws.
   */
  specOf(
    schedule: Schedule,
    scheduledFor: number,
    { id = this.newId(), jitterMs = schedule.definition.jitterMs }: { id?: string; jitterMs?: number },
  ): JobSpec {
    const { settings, clock, journal } = this.#links;
    const { name, definition } = schedule;
    const { queue, priority, maxAttempts, timeoutMs, durability } = definition.options;
    const type = checkJobName(definition.job, settings.types, 'its `job` to be the name of a job type');
    const now = clock.now();
    const spec: Draft<JobSpec> = {
      id,
      name: type.name,
      queue: checkQueueName(queue ?? type.queue, settings.queues, 'options.queue'),
      priority: priority ?? type.priority,
      payload: this.#payloadOf(schedule, scheduledFor),
      sequence: journal.nextSequence(),
      enqueuedAt: now,
      durability: durability ?? settings.durability,
      schedule: name,
      scheduledFor,
    };
    const runAt = scheduledFor + jitterOf(name, scheduledFor, jitterMs);
    if (runAt > now) spec.runAt = runAt;
    if (maxAttempts !== undefined) spec.maxAttempts = maxAttempts;
    if (timeoutMs !== undefined) spec.timeoutMs = timeoutMs;
    return spec;
  }

  #payloadOf({ name, definition }: Schedule, scheduledFor: number): Uint8Array {
    if (definition.payload) return definition.payload;
    const make = this.#makers.get(name) ?? this.#links.settings.schedules.get(name)?.makePayload;
    if (make) return encode(make(scheduledFor));
    const message =
      'Its payload is made by a function, and the code has not given that since the engine was opened';
    throw new MillraceError('MILLRACE_SCHEDULE_HELD', message);
  }
}

/** From 0 up to and including `jitterMs`: the same whenever it is asked for. */
function jitterOf(name: string, scheduledFor: number, jitterMs: number): number {
  if (jitterMs === 0) return 0;
  const hash = createHash('sha256').update(`${name}@${scheduledFor}`).digest();
  return Math.floor((hash.readUInt32BE() / 2 ** 32) * (jitterMs + 1));
}
