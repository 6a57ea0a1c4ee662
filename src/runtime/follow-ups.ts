/**
 * Jobs that a handler enqueues: checked at once, held back by the attempt, and committed in the write that completes
 * its job. Whatever else the attempt comes to, they go with it.
 */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { invalidOption, MillraceError, show } from '../errors.js';
import { decode } from '../job/codec.js';
import { acceptEncoded } from '../job/payload.js';
import type { JobSpec } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { placeOf } from '../journal/keys.js';
import type { Transaction } from '../journal/transaction.js';
import { checkEnqueue, type EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { JobRequest } from '../pool/contract.js';
import type { Arrivals, ArrivalsLinks } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { FollowUp, HeldFollowUps } from './attempt.js';
import type { NewJobs } from './new-jobs.js';
import { Slices } from './slices.js';

export interface FollowUpsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly newJobs: NewJobs;
  readonly arrivals: Arrivals;
  readonly arriving: ArrivingIds;
  readonly onAccepted: ArrivalsLinks['onAccepted'];
  readonly onWarning: (error: MillraceError) => void;
}

/** Who enqueues them. */
interface Holder {
  followUps: HeldFollowUps | undefined;
}

/** Per attempt: they are one write. */
const MAX_FOLLOW_UPS = 10_000;
/** Whether an id is new has to be read, and so often, so far apart, where that fails and writing does not. */
const READ_TRIES = 5;
const READ_AGAIN_MS = 1_000;

export class FollowUps {
  readonly #links: FollowUpsLinks;

  constructor(links: FollowUpsLinks) {
    this.#links = links;
  }

  /**
   * Holds one back. It is held before this returns, so that one which is not awaited comes before the outcome.
   * @returns the id that it will have.
   * @throws MillraceError where it is refused
   */
  async take(
    holder: Holder,
    { name, payload, options }: Extract<JobRequest, { kind: 'enqueue' }>,
  ): Promise<string> {
    const { settings, clock, newJobs } = this.#links;
    const type = checkJobName(name, settings.types);
    // Whatever it is: it is checked like the options of any enqueue.
    const given = options && (decode(options) as EnqueueOptions);
    const own = checkEnqueue(given, settings.queues, clock.now());
    if (own.uniqueKey !== undefined)
      throw invalidOption(
        'uniqueKey',
        'absent in a follow-up: who holds the key when its job completes cannot be told before',
        own.uniqueKey,
      );
    holder.followUps ??= { all: [], specs: [] };
    const { all } = holder.followUps;
    const isNamed = given?.id !== undefined;
    const id = given?.id ?? newJobs.newId();
    if (isNamed && all.some((one) => one.id === id && isSame(one.type.name, { id, name }))) return id;
    if (all.length >= MAX_FOLLOW_UPS) throw tooMany();
    const followUp = { id, isNamed, type, payload, own };
    all.push(followUp);
    try {
      const accepted = acceptEncoded(type, payload);
      if (accepted instanceof Promise) await accepted;
      if (isNamed) await this.#checkId(id, name);
    } catch (thrown) {
      all.splice(all.indexOf(followUp), 1);
      throw thrown;
    }
    return id;
  }

  /**
   * @param change Completes the job that holds them; bound to the journal's generation.
   * @throws MillraceError where it is not committed
   */
  async commit({ followUps }: Holder, change: Transaction): Promise<void> {
    const { arriving, onWarning } = this.#links;
    if (!followUps) throw new Error('There are no follow-ups to commit');
    const { all } = followUps;
    const ids = all.flatMap(({ id, isNamed }) => (isNamed ? [id] : []));
    if (ids.length === 0) {
      followUps.specs = await this.#specsOf(all);
      await this.#add(followUps.specs, { transaction: change });
      return;
    }
    const conflicts: MillraceError[] = [];
    await arriving.alone(ids, async () => {
      const existing = await this.#existing(ids);
      const fresh = all.filter((one) => isFresh(one, existing, conflicts, change));
      followUps.specs = await this.#specsOf(fresh);
      const named = new Set(followUps.specs.filter((_spec, i) => fresh[i]?.isNamed));
      await this.#add(followUps.specs, { transaction: change, named });
    });
    for (const conflict of conflicts) onWarning(conflict);
  }

  /** Their commit was in doubt, and had reached the disk. */
  committed({ followUps }: Holder): void {
    for (const spec of followUps?.specs ?? []) {
      const job = { spec, status: enqueued(spec) };
      this.#links.onAccepted(job, placeOf(job));
    }
  }

  async #add(specs: readonly JobSpec[], how: Parameters<Arrivals['addAll']>[1]): Promise<void> {
    const { arrivals, newJobs } = this.#links;
    try {
      await arrivals.addAll(specs, how);
    } catch (thrown) {
      newJobs.discardAfter(thrown, specs);
      throw thrown;
    }
  }

  /** They take their places in line when they are committed, and not when they were asked for. */
  async #specsOf(all: readonly FollowUp[]): Promise<JobSpec[]> {
    const { newJobs, clock, journal } = this.#links;
    const slices = new Slices(clock);
    const specs: JobSpec[] = [];
    try {
      for (const { type, payload, own, id } of all) {
        const spec = newJobs.specOf(type, payload, own, id);
        if (spec.runAt !== undefined && spec.runAt <= spec.enqueuedAt) delete spec.runAt;
        const stored = journal.storePayload(spec);
        specs.push(stored instanceof Promise ? await stored : stored);
        if (slices.isOver) await slices.next();
      }
    } catch (thrown) {
      newJobs.discard(specs);
      throw thrown;
    }
    return specs;
  }

  /** Tells the handler of what shows already; what counts is what is there when they are committed. */
  async #checkId(id: string, name: string): Promise<void> {
    const { journal } = this.#links;
    let read: JobRead;
    try {
      read = await journal.job(id);
    } catch (thrown) {
      // An outage, which the handler need not hear of.
      if (journal.failure) return;
      throw thrown;
    }
    if (read instanceof MillraceError) throw read;
    if (read) isSame(read.spec.name, { id, name });
  }

  async #existing(ids: readonly string[]): Promise<ReadonlyMap<string, JobRead>> {
    const { journal, clock } = this.#links;
    for (let tries = 1; ; tries++) {
      try {
        const reads = await journal.jobs(ids);
        return new Map(ids.map((id, i) => [id, reads[i]]));
      } catch (thrown) {
        if (journal.failure || tries === READ_TRIES) throw thrown;
        await new Promise<void>((resolve) => clock.setTimer(resolve, READ_AGAIN_MS));
      }
    }
  }
}

/** Whether no job of its id is there. What cannot be told is left as it is: the job that enqueued it must complete. */
function isFresh(
  { id, isNamed, type, own }: FollowUp,
  existing: ReadonlyMap<string, JobRead>,
  conflicts: MillraceError[],
  change: Transaction,
): boolean {
  const read = isNamed ? existing.get(id) : undefined;
  if (read === undefined) return true;
  if (read instanceof MillraceError) conflicts.push(read);
  else if (read.spec.name !== type.name) conflicts.push(conflict(read.spec.name, { id, name: type.name }));
  // Whoever asks for it hears that it outlives a power cut, whatever was asked for when it was made.
  else if (own.durability === 'fsync') change.withSync();
  return false;
}

/** @throws MillraceError `MILLRACE_ID_CONFLICT` */
function isSame(known: string, { id, name }: { id: string; name: string }): true {
  if (known !== name) throw conflict(known, { id, name });
  return true;
}

function conflict(known: string, { id, name }: { id: string; name: string }): MillraceError {
  const message = `Expected the id ${show(id)} of a follow-up to be new or a job of ${name}, but it is a job of ${known}`;
  return new MillraceError('MILLRACE_ID_CONFLICT', message);
}

function tooMany(): MillraceError {
  const message = `Expected at most ${MAX_FOLLOW_UPS} jobs to be enqueued by one attempt. Enqueue one that enqueues the rest`;
  return new MillraceError('MILLRACE_FOLLOW_UPS_TOO_MANY', message);
}
