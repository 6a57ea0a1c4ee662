/** What is told of a journal that was verified or repaired, in data. */
import type { JobCounts, JobState } from '../job/record.js';

/** One thing that is wrong, as exactly as it can be known. */
export interface JournalDamage {
  /** What is wrong, in words. */
  readonly message: string;
  /** The damaged file, in the journal's directory. */
  readonly file?: string;
  /** Where in the file, in bytes. */
  readonly offset?: number;
  /** The damaged record's key. */
  readonly key?: string;
  /** The job that it concerns. */
  readonly jobId?: string;
}

/** What `Millrace.verify()` found. */
export interface JournalReport {
  /** The directory's real path. */
  readonly directory: string;
  /** Whether nothing is wrong. */
  readonly sound: boolean;
  /** How many jobs there are that can be read, by state; `running` are those that the next `open()` makes available. */
  readonly jobs: JobCounts;
  /** How many records were read. */
  readonly records: number;
  /** What is wrong: the first 1,000 of {@link damageCount}. */
  readonly damage: readonly JournalDamage[];
  readonly damageCount: number;
  /** What is no damage and worth knowing: the torn end that a power cut leaves, a witness that is damaged. */
  readonly notes: readonly string[];
}

/** A job of which something is lost. */
export interface SalvagedJob {
  readonly id: string;
  /** What was lost of it, or is in doubt. */
  readonly message: string;
}

/** What `Millrace.repair()` did. */
export interface RepairReport {
  /** The directory's real path. */
  readonly directory: string;
  /** `false` where the journal was sound: nothing was done then. */
  readonly repaired: boolean;
  /** Where the files are that the journal had before, below `directory`. They can be deleted once nobody needs them. */
  readonly keptIn?: string;
  /** How many jobs are as they were. */
  readonly soundCount: number;
  /** Jobs that are there and of which something is lost, and the state that they are in now: the first 1,000 of {@link salvagedCount}. */
  readonly salvaged: readonly (SalvagedJob & { readonly state: JobState })[];
  readonly salvagedCount: number;
  /** Jobs that are gone, as far as anything names them: the first 1,000 of {@link lostCount}. */
  readonly lost: readonly SalvagedJob[];
  readonly lostCount: number;
  /** How many more jobs the counters knew of, where those could be read: nothing names them any more. */
  readonly unnamedCount: number;
  /** A log was damaged, cut short or missing: what only it told of is gone without a trace, and counted nowhere. */
  readonly mayLackMore: boolean;
  /** What was wrong: the first 1,000 of {@link damageCount}. */
  readonly damage: readonly JournalDamage[];
  readonly damageCount: number;
}

/** How many of each kind a report lists. */
const MAX_LISTED = 1_000;

/** A list that counts all and keeps the first. */
export class Listed<Value> {
  readonly first: Value[] = [];
  count = 0;

  add(value: Value): void {
    this.count++;
    if (this.first.length < MAX_LISTED) this.first.push(value);
  }
}
