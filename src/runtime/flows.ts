/** Enqueues flows: all their jobs, and which of them wait for which, in one write. */
import { checkText } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import type { Draft, JobSpec, OnParentFailure } from '../job/record.js';
import { keepParentCount, waitFor } from '../journal/flow-entries.js';
import type { Journal } from '../journal/journal.js';
import { ignoresFailures } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { checkFlow, takeFlow, type AnyFlow, type AnyFlowJob } from '../flow.js';
import type { EnqueueOptions } from '../job-options.js';
import type { Arrivals } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { Handle } from './handle.js';
import type { Intake } from './intake.js';
import type { NewJobs } from './new-jobs.js';
import { Slices } from './slices.js';

/** How many jobs of a flow that may be there are read at once. */
const PAGE = 100;

export interface FlowsLinks {
  readonly clock: Clock;
  readonly journal: Journal;
  readonly arrivals: Arrivals;
  readonly arriving: ArrivingIds;
  readonly intake: Intake;
  readonly newJobs: NewJobs;
  /** Throws where nothing can be enqueued now. */
  readonly assertWritable: () => void;
  readonly handleOf: (name: string, id: string) => Handle;
}

export class Flows {
  readonly #links: FlowsLinks;

  constructor(links: FlowsLinks) {
    this.#links = links;
  }

  /**
   * Resolves once all jobs are committed.
   * @param flow It may change afterwards, but for the payloads, of which each is read when its turn comes.
   * @param flowId Makes it idempotent. Checked.
   * @returns their handles, by the flow's keys.
   * @throws MillraceError where it, or one of them, is refused; then there is none.
   */
  async enqueue(flow: AnyFlow, flowId: string | undefined): Promise<Record<string, Handle>> {
    const given = takeFlow(flow);
    const slices = new Slices(this.#links.clock);
    for (const _step of checkFlow(given)) if (slices.isOver) await slices.next();
    this.#links.assertWritable();
    const nodes: Node[] = [];
    for (const [key, job] of given) {
      nodes.push(nodeOf(key, job, flowId));
      if (slices.isOver) await slices.next();
    }
    const specs = new Map<string, Draft<JobSpec>>();
    let isWhole = false;
    try {
      await this.#putTogether(specs, nodes);
      isWhole = true;
      return await this.#enqueue(specs, nodes);
    } catch (thrown) {
      const all = [...specs.values()];
      if (isWhole) this.#links.newJobs.discardAfter(thrown, all);
      else this.#links.newJobs.discard(all);
      throw thrown;
    }
  }

  async #enqueue(
    specs: ReadonlyMap<string, JobSpec>,
    nodes: readonly Node[],
  ): Promise<Record<string, Handle>> {
    const { arriving, clock, handleOf } = this.#links;
    const named = new Map<string, JobSpec>();
    for (const { key, item } of nodes) {
      const spec = specs.get(key);
      if (!spec || item.options.id === undefined) continue;
      if (named.has(spec.id))
        throw conflict(
          `Expected each job of the flow to have an id of its own, and two have ${show(spec.id)}`,
        );
      named.set(spec.id, spec);
    }
    const commit = (): Promise<void> => this.#commit(specs, named);
    await (named.size > 0 ? arriving.alone([...named.keys()], commit) : commit());
    const handles: Record<string, Handle> = {};
    const slices = new Slices(clock);
    for (const [key, { name, id }] of specs) {
      handles[key] = handleOf(name, id);
      if (slices.isOver) await slices.next();
    }
    return handles;
  }

  /** @param specs Gets them, one after another. */
  async #putTogether(specs: Map<string, Draft<JobSpec>>, nodes: readonly Node[]): Promise<void> {
    const { intake, newJobs } = this.#links;
    // An id that a caller chose may hold any character, and this one is a part of a key.
    const own = newJobs.newId();
    const slices = new Slices(this.#links.clock);
    for (const { key, item } of nodes) {
      const made = intake.specOf(item, `flow.${key}`);
      const spec = made instanceof Promise ? await made : made;
      spec.flow = own;
      specs.set(key, spec);
      if (slices.isOver) await slices.next();
    }
    for (const { key, parents, onParentFailure } of nodes) {
      // Safe: there is one for each key.
      const spec = specs.get(key) as Draft<JobSpec>;
      if (parents.length === 0) continue;
      const ids: Record<string, string> = {};
      for (const parent of parents) {
        // Safe: a flow whose parents are not its own jobs was refused.
        const its = specs.get(parent) as Draft<JobSpec>;
        ids[parent] = its.id;
        its.isParent = true;
        if (slices.isOver) await slices.next();
      }
      spec.parents = ids;
      if (onParentFailure !== undefined) spec.onParentFailure = onParentFailure;
    }
  }

  /** @param named Those whose ids their caller chose, by them. */
  async #commit(specs: ReadonlyMap<string, JobSpec>, named: ReadonlyMap<string, JobSpec>): Promise<void> {
    const { journal, arrivals } = this.#links;
    const transaction = new Transaction().readIn(journal.generation);
    if (await this.#isThere(specs.size, named)) {
      this.#links.newJobs.discard([...specs.values()]);
      return;
    }
    const slices = new Slices(this.#links.clock);
    for (const spec of specs.values()) {
      if (!spec.parents) continue;
      const parents = Object.values(spec.parents);
      for (const parent of parents) {
        waitFor(transaction, spec, parent);
        if (slices.isOver) await slices.next();
      }
      const count = { count: parents.length, ignoresFailures: ignoresFailures(spec) };
      keepParentCount(transaction, spec.sequence, count);
    }
    await arrivals.addAll([...specs.values()], { transaction, named: new Set(named.values()) });
  }

  /**
   * Whether the same flow was enqueued before: all its jobs have ids, and are there with them, under the same names, with
   * the same parents, and none has a child beside them where none of them waits for it.
   * @throws MillraceError where only some are, for a job that is there already cannot become part of another flow.
   */
  async #isThere(size: number, named: ReadonlyMap<string, JobSpec>): Promise<boolean> {
    const slices = new Slices(this.#links.clock);
    const ids = [...named.keys()];
    let same = 0;
    let first: string | undefined;
    let other: string | undefined;
    for (let from = 0; from < ids.length; from += PAGE) {
      for (const read of await this.#links.journal.jobs(ids.slice(from, from + PAGE))) {
        if (read === undefined) continue;
        if (read instanceof MillraceError) throw read;
        const { id } = read.spec;
        first ??= id;
        // Safe: it was asked for.
        if (isSameJob(read.spec, named.get(id) as JobSpec)) same++;
        else other ??= id;
        if (slices.isOver) await slices.next();
      }
    }
    if (first === undefined) return false;
    if (same === size) return true;
    throw conflict(
      `Expected the ids of the flow's jobs to be new, or those of the same flow, and there is a job ${show(other ?? first)} already`,
    );
  }
}

/** A job of a flow, checked. */
interface Node {
  readonly key: string;
  readonly item: { readonly name: string; readonly payload: unknown; readonly options: EnqueueOptions };
  readonly parents: readonly string[];
  readonly onParentFailure: OnParentFailure | undefined;
}

/** @throws MillraceError where an id would be too long. */
function nodeOf(key: string, job: AnyFlowJob, flowId: string | undefined): Node {
  const { name, payload, options = {}, parents = [], onParentFailure } = job;
  const isNamed = options.id !== undefined || flowId === undefined;
  const own = isNamed ? options : { ...options, id: checkText(`${flowId}/${key}`, 'id') };
  return { key, item: { name, payload, options: own }, parents, onParentFailure };
}

/** Of what a flow is asked for again with, payloads and options may differ. */
function isSameJob(there: JobSpec, asked: JobSpec): boolean {
  if (there.flow === undefined || there.name !== asked.name || there.isParent !== asked.isParent)
    return false;
  const [parents, others] = [there.parents ?? {}, asked.parents ?? {}];
  const keys = Object.keys(parents);
  return keys.length === Object.keys(others).length && keys.every((key) => parents[key] === others[key]);
}

const conflict = (message: string): MillraceError => new MillraceError('MILLRACE_ID_CONFLICT', message);
