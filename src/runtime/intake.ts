/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Job, JobSpec } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, type EnqueueOptions, type Settings } from '../options.js';
import { JobIds } from './job-ids.js';
import type { RecentEnds } from './recent-ends.js';

export interface IntakeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly recent: RecentEnds;
  /** A job was committed. */
  readonly onAccepted: (job: Job) => void;
}

/** A job that is in the journal. */
export interface Accepted {
  readonly id: string;
  /** How many jobs had ended before this one could; absent where it may have ended long ago. */
  readonly endsBefore?: number;
}

export class Intake {
  readonly #links: IntakeLinks;
  readonly #ids = new JobIds();
  /** Ids that callers chose and that are on their way into the journal. */
  readonly #arriving = new Map<string, Promise<void>>();

  constructor(links: IntakeLinks) {
    this.#links = links;
  }

  /** Resolves once the job is committed. */
  async enqueue(name: string, payload: unknown, options: EnqueueOptions = {}): Promise<Accepted> {
    const spec = this.#spec(name, payload, options);
    if (options.id !== undefined) {
      await this.#commitOnce(spec);
      return { id: spec.id };
    }
    await this.#commit(spec);
    return { id: spec.id, endsBefore: this.#links.recent.count };
  }

  #spec(name: string, payload: unknown, options: EnqueueOptions): JobSpec {
    const { settings, clock, journal } = this.#links;
    const type = settings.types.get(name);
    if (!type) {
      const known = [...settings.types.keys()].join(', ');
      throw new MillraceError(
        'MILLRACE_JOB_UNKNOWN',
        `Expected the name of a job type (${known}), got: ${show(name)}`,
      );
    }
    const enqueuedAt = clock.now();
    const checked = checkEnqueue(options, type, settings, enqueuedAt);
    const bytes = encode(payload);
    const sequence = journal.nextSequence();
    const { id = this.#ids.next(enqueuedAt, sequence) } = options;
    return { ...checked, id, name, enqueuedAt, payload: bytes, sequence };
  }

  async #commit(spec: JobSpec): Promise<void> {
    const { journal, onAccepted } = this.#links;
    const status = enqueued(spec);
    await journal.commit(new Transaction().enqueue(spec, status));
    onAccepted({ spec, status });
  }

  /** Of several enqueues with one id, at once or over the years, the first makes the job. */
  async #commitOnce(spec: JobSpec): Promise<void> {
    const { id } = spec;
    // Whether the one before us made it shows in the journal; its error is its caller's.
    while (this.#arriving.has(id)) await this.#arriving.get(id)?.catch(() => {});
    const arriving = this.#commitIfNew(spec);
    this.#arriving.set(id, arriving);
    try {
      await arriving;
    } finally {
      this.#arriving.delete(id);
    }
  }

  async #commitIfNew(spec: JobSpec): Promise<void> {
    const existing = await this.#links.journal.job(spec.id);
    if (existing === undefined) {
      await this.#commit(spec);
      return;
    }
    if (existing instanceof MillraceError) throw existing;
    const { name } = existing.spec;
    if (name === spec.name) return;
    const message = `Expected the id ${show(spec.id)} to be new or a job of ${spec.name}, but it is a job of ${name}`;
    throw new MillraceError('MILLRACE_ID_CONFLICT', message);
  }
}
