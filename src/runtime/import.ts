/**
 * Takes the lines of an export: jobs that wait go into their queues, in the order of the lines, and jobs that have ended
 * are kept as they ended. A chunk of lines is one commit, so whoever was interrupted gives the same lines once more.
 */
import { integer } from '../checks.js';
import type { ImportCounts } from '../engine.js';
import {
  asError,
  ImportError,
  invalidOption,
  MillraceError,
  show,
  type MillraceErrorCode,
} from '../errors.js';
import { hasEnded, type Job } from '../job/record.js';
import { holdsKey } from '../job/uniqueness.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { placeOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Settings } from '../options.js';
import type { ArrivingIds } from './arriving-ids.js';
import { EXPORT_FORMAT, EXPORT_VERSION } from './export.js';
import { checkpointOf, jobOf } from './job-line.js';
import { record } from './line-bytes.js';
import { linesOf, type Line } from './lines.js';
import { Slices } from './slices.js';
import { keyOf, type KeyHolder, type UniqueKeys } from './unique-keys.js';

export interface ImportLinks {
  readonly journal: Journal;
  readonly settings: Settings;
  readonly arriving: ArrivingIds;
  readonly keys: UniqueKeys;
  /** A job was committed. @param place The key of its own that it has in the journal. */
  readonly onImported: (job: Job, place: string | undefined) => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** What goes into the journal in one commit: whichever is reached first. */
const CHUNK_JOBS = 500;
const CHUNK_CHARACTERS = 1 << 20;

/** A job on its way in. */
interface Imported {
  readonly job: Job;
  readonly checkpoint: Uint8Array | undefined;
  readonly line: number;
}

/** One import, from its first line to its last. */
export class Import {
  readonly #links: ImportLinks;
  readonly #counts = { imported: 0, skipped: 0 };
  /** Not yet committed. */
  #chunk: Imported[] = [];
  #characters = 0;
  #lines = 0;
  #jobs = 0;
  #damaged = 0;
  /** Queues and types that the code does not know, as they were warned of. */
  readonly #unknown = new Set<string>();
  #part: 'header' | 'jobs' | 'end' = 'header';

  constructor(links: ImportLinks) {
    this.#links = links;
  }

  /**
   * @param signal Aborted when the engine closes.
   * @throws MillraceError, see {@link JobEngine.import}
   */
  async run(pieces: AsyncIterable<unknown> | Iterable<unknown>, signal: AbortSignal): Promise<ImportCounts> {
    const slices = new Slices();
    for await (const line of linesOf(pieces)) {
      signal.throwIfAborted();
      this.#lines = line.number;
      await this.#take(line);
      if (this.#chunk.length >= CHUNK_JOBS || this.#characters >= CHUNK_CHARACTERS) await this.#commit();
      if (slices.isOver) await slices.next();
    }
    signal.throwIfAborted();
    await this.#commit();
    if (this.#part !== 'end') throw this.#cutOff();
    if (this.#damaged > 0) this.#links.onWarning(lost(this.#damaged));
    return { ...this.#counts };
  }

  async #take({ number, text }: Line): Promise<void> {
    try {
      this.#read(number, text);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      // What stands before is sound, and its jobs come in.
      await this.#commit();
      throw new ImportError(thrown.message, { line: number, ...this.#counts }, { cause: thrown });
    }
  }

  #read(number: number, text: string): void {
    const fields = record(parse(text), 'the line');
    switch (this.#part) {
      case 'header':
        checkHeader(fields);
        this.#part = 'jobs';
        return;
      case 'jobs':
        if ('end' in fields) this.#end(fields['jobs']);
        else if ('damaged' in fields) this.#damaged++;
        else this.#job(number, text.length, fields);
        return;
      case 'end':
        throw invalidOption('the line', 'the last one, after the one that says so', text);
      default:
        this.#part satisfies never;
    }
  }

  #job(number: number, length: number, fields: Record<string, unknown>): void {
    const job = jobOf(fields, this.#links.journal.nextSequence());
    this.#chunk.push({ job, checkpoint: checkpointOf(fields), line: number });
    this.#characters += length;
    this.#jobs++;
  }

  #end(jobs: unknown): void {
    if (integer(jobs, 'jobs', 0) !== this.#jobs)
      throw invalidOption('jobs', `the number of jobs before, which is ${this.#jobs}`, jobs);
    this.#part = 'end';
  }

  async #commit(): Promise<void> {
    const chunk = this.#chunk;
    this.#chunk = [];
    this.#characters = 0;
    if (chunk.length === 0) return;
    const ids = [...new Set(chunk.map(({ job }) => job.spec.id))];
    const keys = [...new Set(chunk.flatMap(({ job }) => keyOf(job.spec) ?? []))];
    await this.#links.arriving.alone([...ids, ...keys], () => this.#commitNew(chunk, ids, keys));
  }

  async #commitNew(
    chunk: readonly Imported[],
    ids: readonly string[],
    keys: readonly string[],
  ): Promise<void> {
    const { journal } = this.#links;
    const change = new Transaction().withSync().readIn(journal.generation);
    const reads = await journal.jobs(ids);
    const holders = await this.#links.keys.holders(keys);
    const names = new Map(ids.flatMap((id, i) => this.#existing(id, reads[i])));
    const fresh: Job[] = [];
    let conflict: ImportError | undefined;
    try {
      conflict = await this.#addNew(fresh, change, chunk, names, holders);
      if (fresh.length > 0) await journal.commit(change);
    } catch (thrown) {
      // Or they may be there all the same.
      if (!change.isClosed) journal.discardPayloads(fresh.map(({ spec }) => spec));
      throw thrown;
    }
    this.#counts.imported += fresh.length;
    for (const job of fresh) this.#imported(job);
    if (conflict) throw conflict;
  }

  /**
   * @param fresh Gets the jobs that are new, one after another.
   * @returns why the line behind them cannot be taken, where there is one.
   */
  async #addNew(
    fresh: Job[],
    change: Transaction,
    chunk: readonly Imported[],
    names: Map<string, string | undefined>,
    holders: Map<string, KeyHolder>,
  ): Promise<ImportError | undefined> {
    const { journal } = this.#links;
    for (const { job: exported, checkpoint, line } of chunk) {
      const { id, name } = exported.spec;
      const known = names.get(id);
      if (known !== undefined && known !== name) return this.#conflict(line, exported, known, fresh.length);
      if (names.has(id)) this.#counts.skipped++;
      else {
        const job = this.#withKey(exported, holders);
        const stored = { spec: await journal.storePayload(job.spec), status: job.status };
        fresh.push(stored);
        change.restore(stored.spec, stored.status);
        if (checkpoint) change.putCheckpoint(id, checkpoint);
        names.set(id, name);
      }
    }
    return undefined;
  }

  /** The name of the job of an id; of one that is damaged none is expected, for it is there, whatever it is. */
  #existing(id: string, read: JobRead): [id: string, name: string | undefined][] {
    if (read === undefined) return [];
    return [[id, read instanceof MillraceError ? undefined : read.spec.name]];
  }

  /** It holds its unique key where nobody here does, and is the only one of its type with it. */
  #withKey(job: Job, holders: Map<string, KeyHolder>): Job {
    const { spec, status } = job;
    const key = keyOf(spec);
    if (key === undefined || !holdsKey(job)) return job;
    const isOver = !this.#links.keys.isHeldBy(job);
    if (!isOver && !holders.has(key)) {
      holders.set(key, { id: spec.id, job });
      return job;
    }
    if (!isOver && !hasEnded(status))
      this.#warn(
        'MILLRACE_UNIQUE_CONFLICT',
        `Jobs named ${spec.name} were imported whose unique keys others hold: they go on without`,
      );
    return { spec, status: { ...status, keyFreed: true } };
  }

  #imported(job: Job): void {
    const { settings, onImported } = this.#links;
    const { name, queue } = job.spec;
    onImported(job, placeOf(job));
    if (hasEnded(job.status)) return;
    const stay = 'they stay until there is';
    if (!settings.queues.has(queue))
      this.#warn(
        'MILLRACE_QUEUE_UNKNOWN',
        `Jobs were imported into queue ${queue}, and there is none; ${stay}`,
      );
    else if (!settings.types.has(name))
      this.#warn(
        'MILLRACE_JOB_UNKNOWN',
        `Jobs named ${name} were imported, and there is no such type; ${stay}`,
      );
  }

  #warn(code: MillraceErrorCode, message: string): void {
    if (this.#unknown.has(message)) return;
    this.#unknown.add(message);
    this.#links.onWarning(new MillraceError(code, message));
  }

  #conflict(line: number, { spec }: Job, known: string, fresh: number): ImportError {
    const { imported, skipped } = this.#counts;
    const reason = `Expected the id ${show(spec.id)} to be new or a job of ${spec.name}, but it is a job of ${known}`;
    return new ImportError(reason, { line, imported: imported + fresh, skipped });
  }

  #cutOff(): ImportError {
    const reason = 'Expected a last line, which says that nothing is missing, and there is no more';
    return new ImportError(reason, { line: this.#lines + 1, ...this.#counts });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const cause = asError(thrown);
    throw new MillraceError(
      'MILLRACE_IMPORT_INVALID',
      `Expected an object of JSON, got: ${show(text)} (${cause.message})`,
      { cause },
    );
  }
}

function checkHeader({ format, version }: Record<string, unknown>): void {
  if (format !== EXPORT_FORMAT)
    throw invalidOption('format', `${show(EXPORT_FORMAT)}, in the first line of an export`, format);
  if (integer(version, 'version', 1) > EXPORT_VERSION)
    throw invalidOption(
      'version',
      `at most ${EXPORT_VERSION}: import it with the version that wrote it, or a newer one`,
      version,
    );
}

function lost(count: number): MillraceError {
  const message = `${count} jobs of the export could not be read when it was made, and were not imported; their lines say which`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}
