/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { v7 as uuidv7 } from 'uuid';
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Job, JobSpec } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, type EnqueueOptions, type Settings } from '../options.js';

export interface IntakeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  /** A job was committed. */
  readonly onAccepted: (job: Job) => void;
}

export class Intake {
  readonly #links: IntakeLinks;
  /** Ids that callers chose and that are on their way into the journal. */
  readonly #arriving = new Map<string, Promise<void>>();

  constructor(links: IntakeLinks) {
    this.#links = links;
  }

  /** @returns the job's id, once it is committed. */
  async enqueue(name: string, payload: unknown, options: EnqueueOptions = {}): Promise<string> {
    const spec = this.#spec(name, payload, options);
    if (options.id === undefined) await this.#commit(spec);
    else await this.#commitOnce(spec);
    return spec.id;
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
    const { id = uuidv7(), ...checked } = checkEnqueue(options, type, settings, enqueuedAt);
    return { ...checked, id, name, enqueuedAt, payload: encode(payload), sequence: journal.nextSequence() };
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
