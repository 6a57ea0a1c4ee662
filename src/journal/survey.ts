/**
 * Goes through all that a journal's files hold, and holds records, places, rosters and counters against each other. What
 * it finds it hands to a listener, so that its memory does not grow with the number of jobs.
 */
import { isEnd, JOB_STATES, type JobCounts, type JobSpec, type JobStatus } from '../job/record.js';
import { decodeSpec, decodeStatus } from '../job/record-format.js';
import { unpack } from '../job/packer.js';
import { asError } from '../errors.js';
import { byBytes } from './byte-order.js';
import { noJobs } from './counters.js';
import type { EvidenceStore, JobEvidence } from './evidence.js';
import { assertFormat } from './format.js';
import { isSealed, unseal, unsealBytes, unsealText } from './integrity.js';
import type { JournalFiles, RawRecord } from './journal-files.js';
import {
  ALL_KEYS,
  claimOf,
  COUNTERS_SPAN,
  DEADLINES_SPAN,
  isPlace,
  metaKey,
  SPECS_SPAN,
  STATUSES_SPAN,
} from './keys.js';
import { unsealRoster } from './roster.js';
import { judge, withoutPayload, type Part, type Verdict } from './verdict.js';

/** What is wrong with a record, or missing. */
export interface RecordFault {
  readonly key: string;
  readonly jobId?: string;
  readonly message: string;
}

export interface SurveyListener {
  /** Why the payload that lies in a file is lost, if it is. */
  lostPayload(spec: JobSpec): Promise<string | undefined>;
  /** Told of everything that is wrong. */
  fault(fault: RecordFault): void;
  /** Each job there is, or was, in the order of the ids. */
  job(id: string, verdict: Verdict): void | Promise<void>;
  /** Each sound record that is neither a job's nor a place. */
  record?(record: RawRecord): void | Promise<void>;
}

export interface Survey {
  /** Of the jobs that are there. */
  readonly counts: JobCounts;
  readonly queues: ReadonlyMap<string, JobCounts>;
  /** How many records were read. */
  readonly records: number;
  /** Greater than every sequence number that was found. */
  readonly nextSequence: number;
  /** How many jobs there are by the counters, as far as those can be read. */
  readonly countedJobs: number;
}

/** @param now Epoch milliseconds. */
export async function survey(
  files: JournalFiles,
  evidence: EvidenceStore,
  now: number,
  listener: SurveyListener,
): Promise<Survey> {
  const walk = new Walk(files, evidence, now, listener);
  await walk.index();
  await walk.jobs();
  walk.conclude();
  return walk;
}

class Walk implements Survey {
  readonly #files: JournalFiles;
  readonly #evidence: EvidenceStore;
  readonly #now: number;
  readonly #listener: SurveyListener;
  /** Places whose entries are damaged: only their keys are left. */
  readonly #damagedPlaces = new Set<string>();
  readonly #stored = new Map<string, JobCounts>();
  #storedSequence: number | undefined;
  #format: number | undefined;
  readonly queues = new Map<string, JobCounts>();
  records = 0;
  nextSequence = 1;

  constructor(files: JournalFiles, evidence: EvidenceStore, now: number, listener: SurveyListener) {
    this.#files = files;
    this.#evidence = evidence;
    this.#now = now;
    this.#listener = listener;
  }

  get counts(): JobCounts {
    const total = noJobs();
    for (const counts of this.queues.values()) for (const state of JOB_STATES) total[state] += counts[state];
    return total;
  }

  get countedJobs(): number {
    let total = 0;
    for (const counts of this.#stored.values()) for (const state of JOB_STATES) total += counts[state];
    return total;
  }

  /** All but the jobs' own records. */
  async index(): Promise<void> {
    const spans = [
      [ALL_KEYS.from, SPECS_SPAN.from],
      [SPECS_SPAN.to, STATUSES_SPAN.from],
      [STATUSES_SPAN.to, ALL_KEYS.to],
    ] as const;
    for (const [from, to] of spans) {
      for await (const page of this.#files.records(from, to)) {
        for (const record of page) await this.#visit(record);
      }
    }
    if (this.#format !== undefined) assertFormat(this.#format);
  }

  async #visit(record: RawRecord): Promise<void> {
    const { key, value } = record;
    this.records++;
    if (!isSealed(key, value)) {
      if (isOwnKey(key)) this.#damagedPlaces.add(key);
      this.#listener.fault({ key, message: `The record ${key} is damaged: its checksum does not match` });
      return;
    }
    if (isOwnKey(key)) {
      await this.#evidence.add(unsealText(key, value), key);
      return;
    }
    if (key.startsWith('a!') || key.startsWith('f!')) {
      for (const id of unsealRoster(key, value)) await this.#evidence.add(id, key);
      if (key.startsWith('a!')) this.#saw(claimOf(key));
    }
    // Safe for bytes whose checksum held: Counters made them.
    if (key.startsWith(COUNTERS_SPAN.from))
      this.#stored.set(key.slice(COUNTERS_SPAN.from.length), unpack(unsealBytes(key, value)) as JobCounts);
    if (key === metaKey('sequence')) this.#storedSequence = Number(unsealText(key, value));
    if (key === metaKey('format')) this.#format = Number(unsealText(key, value));
    await this.#listener.record?.(record);
  }

  async jobs(): Promise<void> {
    const specs = new Row(this.#rows(SPECS_SPAN.from, SPECS_SPAN.to));
    const statuses = new Row(this.#rows(STATUSES_SPAN.from, STATUSES_SPAN.to));
    const evidence = new Row<JobEvidence>(this.#evidence.jobs());
    await Promise.all([specs.advance(), statuses.advance(), evidence.advance()]);
    for (;;) {
      const id = first([specs.head?.id, statuses.head?.id, evidence.head?.id]);
      if (id === undefined) return;
      const [spec, status] = [specs.head, statuses.head].map((head) => (head?.id === id ? head : undefined));
      const said = evidence.head?.id === id ? evidence.head : undefined;
      await this.#judge(id, spec, status, said);
      if (spec) await specs.advance();
      if (status) await statuses.advance();
      if (said) await evidence.advance();
    }
  }

  async *#rows(from: string, to: string): AsyncGenerator<RawRecord & { id: string }> {
    for await (const page of this.#files.records(from, to)) {
      for (const record of page) {
        this.records++;
        yield { ...record, id: record.key.slice(from.length) };
      }
    }
  }

  async #judge(
    id: string,
    spec: RawRecord | undefined,
    status: RawRecord | undefined,
    evidence: JobEvidence | undefined,
  ): Promise<void> {
    const judged = judge(
      {
        id,
        spec: this.#part(id, spec, (record) => decodeSpec(id, record)),
        status: this.#part(id, status, decodeStatus),
        evidence: evidence ?? { places: [], deadlines: [], claims: [], ends: [] },
        isSuspect: (key) => this.#files.isSuspect(key),
        isDamagedPlace: (key) => this.#damagedPlaces.has(key),
      },
      this.#now,
    );
    const lost = judged.job && (await this.#listener.lostPayload(judged.job.spec));
    const verdict = lost === undefined ? judged : withoutPayload(judged, lost, this.#now);
    if (verdict.problem) this.#listener.fault({ ...verdict.problem, jobId: id });
    if (verdict.job) this.#count(verdict.job, verdict.isRunning);
    await this.#listener.job(id, verdict);
  }

  #part<Value extends JobSpec | JobStatus>(
    id: string,
    record: RawRecord | undefined,
    decode: (record: Uint8Array) => Value,
  ): Part<Value> {
    if (!record) return undefined;
    try {
      return decode(unseal(record.key, record.value));
    } catch (thrown) {
      this.#listener.fault({ key: record.key, jobId: id, message: asError(thrown).message });
      return 'damaged';
    }
  }

  #count({ spec, status }: { spec: JobSpec; status: JobStatus }, isRunning: boolean): void {
    let counts = this.queues.get(spec.queue);
    if (!counts) {
      counts = noJobs();
      this.queues.set(spec.queue, counts);
    }
    counts[isRunning && !isEnd(status.state) ? 'running' : status.state]++;
    this.#saw(spec.sequence);
    if (status.claim !== undefined) this.#saw(status.claim);
  }

  #saw(sequence: number): void {
    this.nextSequence = Math.max(this.nextSequence, sequence + 1);
  }

  /** What can only be told when all is known. */
  conclude(): void {
    for (const queue of new Set([...this.#stored.keys(), ...this.queues.keys()])) {
      const [stored, found] = [this.#stored.get(queue), this.queues.get(queue)];
      const wrong = JOB_STATES.filter((state) => (stored?.[state] ?? 0) !== (found?.[state] ?? 0));
      if (wrong.length === 0) continue;
      const each = wrong.map(
        (state) => `${found?.[state] ?? 0} ${state}, counted as ${stored?.[state] ?? 0}`,
      );
      const message = `The counters of queue ${queue} do not agree with its jobs: ${each.join('; ')}`;
      this.#listener.fault({ key: `${COUNTERS_SPAN.from}${queue}`, message });
    }
    if (this.records === 0) return;
    if (this.#format === undefined)
      this.#listener.fault({ key: metaKey('format'), message: 'The format of the journal is not recorded' });
    if (this.nextSequence > Math.max(1, this.#storedSequence ?? 1)) {
      const message = 'The reserved sequence numbers do not reach to those that were given';
      this.#listener.fault({ key: metaKey('sequence'), message });
    }
  }
}

/** Whether it is the key of its own of one job that has not ended. */
const isOwnKey = (key: string): boolean => isPlace(key) || key.startsWith(DEADLINES_SPAN.from);

/** The first of them in the order of their bytes. */
function first(ids: readonly (string | undefined)[]): string | undefined {
  let least: string | undefined;
  for (const id of ids) {
    if (id !== undefined && (least === undefined || byBytes(id, least) < 0)) least = id;
  }
  return least;
}

/** A row of values that is looked at from its head. */
class Row<Value> {
  readonly #rest: AsyncIterator<Value>;
  head: Value | undefined;

  constructor(rest: AsyncIterable<Value>) {
    this.#rest = rest[Symbol.asyncIterator]();
  }

  async advance(): Promise<void> {
    const { done, value } = await this.#rest.next();
    this.head = done ? undefined : value;
  }
}
