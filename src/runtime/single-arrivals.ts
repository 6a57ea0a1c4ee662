/**
 * New jobs of which there is to be only one: of an id that their caller chose, or of a unique key. Who brings them in
 * looks what the journal holds, and commits, while nobody else brings in such a job.
 */
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { hasEnded, type Job, type JobSpec } from '../job/record.js';
import { cancelled } from '../job/transitions.js';
import { holdsKey, type OnConflict } from '../job/uniqueness.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { Needs, Room } from '../queue/admission.js';
import type { Arrivals, ArrivalsLinks } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { Entrance } from './entrance.js';
import type { Executor } from './executor.js';
import type { Handle } from './handle.js';
import type { IdleJobs } from './idle-jobs.js';
import type { NewJobs } from './new-jobs.js';
import { conflictOf, keyOf, type KeyHolder, type UniqueKeys } from './unique-keys.js';

export interface SingleArrivalsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly arrivals: Arrivals;
  readonly arriving: ArrivingIds;
  readonly newJobs: Pick<NewJobs, 'discard'>;
  readonly keys: UniqueKeys;
  readonly idle: IdleJobs;
  readonly executor: Pick<Executor, 'whenClaimed' | 'running'>;
  readonly handleOf: ArrivalsLinks['handleOf'];
  /** Absent where no queue has a bound. */
  readonly entrance: Entrance | undefined;
  /** Jobs that were held for a change are held no longer. */
  readonly wake: () => void;
}

export interface Newcomer {
  readonly spec: JobSpec;
  /** Whether its id was chosen by its caller. */
  readonly isNamed: boolean;
  readonly onConflict: OnConflict;
  /** What it is called in a refusal, where it is one of several. */
  readonly item?: string;
}

/** What is to become of newcomers. */
interface Decision {
  readonly now: number;
  readonly generation: number;
  readonly fresh: Set<JobSpec>;
  readonly named: Set<JobSpec>;
  /** The id of the job that each gets. */
  readonly ids: string[];
  /** Among the newcomers themselves, who takes the place of whom, by ids. */
  readonly successors: Map<string, string>;
  /** Jobs that give way, by their ids, and who takes their keys. */
  readonly replaced: Map<string, { readonly holder: Job; readonly by: Newcomer }>;
  /** Somebody asked for a job that outlives a power cut, and gets one that may be only in the system's memory. */
  needsSync: boolean;
}

/** The jobs that there are of newcomers now; or what they need, where they have to wait for it. */
type Tried = { readonly handles: Handle[] } | { readonly needs: Needs };

/** Why a job that had a unique key was cancelled. */
const REPLACED = 'replaced by a newer job with its unique key';

export class SingleArrivals {
  readonly #links: SingleArrivalsLinks;

  constructor(links: SingleArrivalsLinks) {
    this.#links = links;
  }

  /**
   * All of them or none, in one write.
   * @param signals End the waiting for room.
   * @returns the handles of the jobs that there are of them now, in their order.
   * @throws MillraceError where one of them is refused, or they are not committed.
   */
  async bringIn(newcomers: readonly Newcomer[], signals: readonly AbortSignal[]): Promise<Handle[]> {
    const { arriving, entrance } = this.#links;
    const locks = unique([...idsOf(newcomers), ...keysOf(newcomers)]);
    let room: Room | undefined;
    for (;;) {
      const taken = room;
      const tried = await arriving.alone(locks, () => this.#try(newcomers, taken));
      if ('handles' in tried) return tried.handles;
      // While they wait for it, others may bring in jobs of their ids and keys, or remove them.
      room = await entrance?.entered(tried.needs, signals);
    }
  }

  /** @param room What was taken for them, after they have waited for it; given back where they do not come. */
  async #try(newcomers: readonly Newcomer[], room: Room | undefined): Promise<Tried> {
    const { entrance, handleOf, newJobs } = this.#links;
    const claimed = new Set<string>();
    let taken = room;
    try {
      for (;;) {
        const decision = await this.#decide(newcomers, claimed);
        const needs = entrance?.needsOf(additional(decision));
        if (needs && !taken?.covers(needs)) {
          taken?.cancel();
          taken = entrance?.tryEnter(needs);
          if (!taken) return { needs };
        }
        const handles = await this.#commit(decision, claimed, taken);
        if (!handles) continue;
        if (handles.length === 0) taken?.cancel();
        newJobs.discard(newcomers.flatMap(({ spec }) => (decision.fresh.has(spec) ? [] : spec)));
        const made = new Map(handles.map((handle) => [handle.id, handle]));
        const all = newcomers.map(({ spec: { name } }, i) => {
          const id = lastOf(decision, decision.ids[i] ?? '');
          return made.get(id) ?? handleOf(name, id);
        });
        return { handles: all };
      }
    } catch (thrown) {
      taken?.cancel();
      throw thrown;
    }
  }

  /** @param claimed Ids of jobs that have let go of their keys, whatever is read of them. */
  async #decide(newcomers: readonly Newcomer[], claimed: ReadonlySet<string>): Promise<Decision> {
    const { journal, clock, keys } = this.#links;
    const { generation } = journal;
    const now = clock.now();
    const ids = unique(idsOf(newcomers));
    const reads = await journal.jobs(ids);
    const known = new Map<string, JobRead | { readonly spec: JobSpec }>(ids.map((id, i) => [id, reads[i]]));
    const holders = await keys.holders(unique(keysOf(newcomers)), now);
    for (const [key, { id }] of holders) if (claimed.has(id)) holders.delete(key);
    const decision: Decision = {
      now,
      generation,
      fresh: new Set(),
      named: new Set(),
      ids: [],
      successors: new Map(),
      replaced: new Map(),
      needsSync: false,
    };
    for (const newcomer of newcomers) {
      const { spec, isNamed } = newcomer;
      const read = isNamed ? known.get(spec.id) : undefined;
      const key = keyOf(spec);
      const holder = key === undefined ? undefined : holders.get(key);
      const existing = sameJob(read, spec) ? read : holder && this.#conflict(decision, newcomer, holder);
      decision.ids.push(existing ? idOf(existing) : spec.id);
      if (existing) {
        decision.needsSync ||= spec.durability === 'fsync' && isUnsynced(existing, decision);
        continue;
      }
      decision.fresh.add(spec);
      const job = { spec, status: { state: 'available', attempt: 0 } } as const;
      if (isNamed) {
        decision.named.add(spec);
        known.set(spec.id, { spec });
      }
      if (key !== undefined) holders.set(key, { id: spec.id, job });
    }
    return decision;
  }

  /**
   * Another job holds the key.
   * @returns it, where the newcomer is not to be made.
   */
  #conflict(decision: Decision, by: Newcomer, holder: KeyHolder): KeyHolder | undefined {
    const { spec, onConflict, item } = by;
    if (onConflict === 'return') return holder;
    if (onConflict === 'reject') throw conflictOf(spec, holder, { item });
    const { job } = holder;
    if (job && decision.fresh.delete(job.spec)) decision.successors.set(job.spec.id, spec.id);
    else if (job && !hasEnded(job.status)) decision.replaced.set(job.spec.id, { holder: job, by });
    return undefined;
  }

  /** @returns nothing where it has to be decided anew. @param claimed Gets those that are meanwhile. */
  async #commit(
    decision: Decision,
    claimed: Set<string>,
    room: Room | undefined,
  ): Promise<Handle[] | undefined> {
    const { journal, arrivals } = this.#links;
    const { fresh, named, generation, replaced, needsSync } = decision;
    // Whoever asks for it hears that it outlives a power cut, whatever was asked for when it was made.
    if (needsSync) await journal.commit(new Transaction().withSync().readIn(generation));
    if (fresh.size === 0) return [];
    if (replaced.size > 0) return this.#replace(decision, claimed, room);
    const transaction = into(room, new Transaction().readIn(generation));
    return arrivals.addAll([...fresh], { transaction, named });
  }

  async #replace(
    { now, generation, fresh, named, replaced }: Decision,
    claimed: Set<string>,
    room: Room | undefined,
  ): Promise<Handle[] | undefined> {
    const { idle, arrivals, executor, wake } = this.#links;
    const add = (transaction: Transaction): Promise<Handle[]> =>
      arrivals.addAll([...fresh], { transaction: into(room, transaction.readIn(generation)), named });
    let handles: Handle[] | undefined;
    try {
      const { running } = await idle.change([...replaced.keys()], {
        // It may have gone on since it was read, and let go of its key by itself.
        decide: (job) =>
          !hasEnded(job.status) && holdsKey(job, now) ? cancelled(job.status, now, REPLACED) : undefined,
        commit: async (change) => void (handles = await add(change)),
        allOrNone: true,
      });
      const steadfast = running
        .flatMap((id) => replaced.get(id) ?? [])
        .find(({ holder }) => holder.spec.uniqueWhile !== 'queued');
      if (steadfast) {
        const { holder, by } = steadfast;
        throw conflictOf(by.spec, { id: holder.spec.id }, { item: by.item, isRunning: true });
      }
      if (running.length > 0) {
        // It is about to be claimed, and to let go of its key with that.
        await executor.whenClaimed();
        for (const id of running) if (executor.running(id)) claimed.add(id);
        return undefined;
      }
    } finally {
      // No pass could take them meanwhile.
      wake();
    }
    return handles ?? add(new Transaction());
  }
}

const into = (room: Room | undefined, change: Transaction): Transaction =>
  room ? change.whenWritten(room.settle) : change;

const idsOf = (newcomers: readonly Newcomer[]): string[] =>
  newcomers.flatMap(({ spec, isNamed }) => (isNamed ? spec.id : []));
const keysOf = (newcomers: readonly Newcomer[]): string[] =>
  newcomers.flatMap(({ spec }) => keyOf(spec) ?? []);
const unique = (texts: readonly string[]): string[] => [...new Set(texts)];

/** The last one to take the place of that job; who has taken it knows it from then on, for there may be thousands. */
function lastOf({ successors }: Decision, id: string): string {
  let last = id;
  for (let next = successors.get(last); next !== undefined; next = successors.get(last)) last = next;
  for (let one = id; one !== last;) {
    const next = successors.get(one) ?? last;
    successors.set(one, last);
    one = next;
  }
  return last;
}

type Existing = KeyHolder | { readonly spec: JobSpec };

const idOf = (existing: Existing): string => ('spec' in existing ? existing.spec.id : existing.id);

/** Whether it may be only in the operating system's memory. */
function isUnsynced(existing: Existing, { fresh }: Decision): boolean {
  const spec = 'spec' in existing ? existing.spec : existing.job?.spec;
  return spec?.durability === 'os' && !fresh.has(spec);
}

/**
 * Whether there is a job of the spec's id, so that no other is made.
 * @throws MillraceError where the id belongs to a job of another name, or that cannot be told.
 */
function sameJob(
  existing: JobRead | { readonly spec: JobSpec },
  { id, name }: JobSpec,
): existing is { readonly spec: JobSpec } {
  if (existing === undefined) return false;
  if (existing instanceof MillraceError) throw existing;
  if (existing.spec.name === name) return true;
  const message = `Expected the id ${show(id)} to be new or a job of ${name}, but it is a job of ${existing.spec.name}`;
  throw new MillraceError('MILLRACE_ID_CONFLICT', message);
}

/** The new jobs that take no place of another in their queue. */
function additional(decision: Decision): JobSpec[] {
  const added = new Map(Array.from(decision.fresh, (spec) => [spec.id, spec]));
  for (const { holder, by } of decision.replaced.values()) {
    // Another newcomer may have taken the place of that one.
    const spec = added.get(lastOf(decision, by.spec.id));
    if (spec && holder.status.state !== 'running' && holder.spec.queue === spec.queue) added.delete(spec.id);
  }
  return [...added.values()];
}
