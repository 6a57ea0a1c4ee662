/**
 * Checks the tables of an open journal in the background, once, slowly enough to be in nobody's way. LevelDB makes new
 * tables and removes others meanwhile: those that are new were just written, and those that have gone are not needed.
 */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { describeFault, isMissingFile } from './file-fault.js';
import { checkTable, DAMAGED } from './table-check.js';

/** After so many bytes it rests: at most 50 MB are checked in a second, with a few per cent of the main thread. */
const SLICE_BYTES = 1 << 20;
const REST_MS = 20;

export interface TableWatchOptions {
  readonly directory: string;
  /** Those that the journal had before it was opened, in the order of checking: a table that is being made is not whole. */
  readonly tables: readonly string[];
  readonly clock: Clock;
  readonly onWarning: (error: MillraceError) => void;
}

export class TableWatch {
  readonly #directory: string;
  readonly #tables: readonly string[];
  readonly #clock: Clock;
  readonly #onWarning: (error: MillraceError) => void;
  #isStopped = false;
  #resting: { timer: Timer; resume: () => void } | undefined;
  #running: Promise<void> | undefined;
  #bytes = 0;

  constructor({ directory, tables, clock, onWarning }: TableWatchOptions) {
    this.#directory = directory;
    this.#tables = tables;
    this.#clock = clock;
    this.#onWarning = onWarning;
  }

  begin(): void {
    this.#running = this.#checkAll().catch((thrown: unknown) => {
      const cause = asError(thrown);
      const message = `The tables of the journal in ${this.#directory} could not be checked: ${cause.message}`;
      this.#onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
    });
  }

  /** Waits for a read that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#resting?.timer.cancel();
    this.#resting?.resume();
    await this.#running;
  }

  async #checkAll(): Promise<void> {
    for (const file of this.#tables) {
      if (this.#isStopped) return;
      await this.#check(file);
    }
  }

  async #check(file: string): Promise<void> {
    try {
      const { faults } = await checkTable(this.#directory, file, (bytes) => this.#pause(bytes));
      if (faults.length > 0) await appendFile(join(this.#directory, DAMAGED), `${file}\n`, { mode: 0o600 });
      for (const fault of faults) {
        const message = `The journal in ${this.#directory} is damaged: ${describeFault(fault)}. What cannot be read is reported and no other job is affected; close it, then Millrace.verify(directory) tells which jobs are, and Millrace.repair(directory) saves what can be saved`;
        this.#onWarning(new MillraceError('MILLRACE_JOURNAL_CORRUPT', message));
      }
    } catch (thrown) {
      if (thrown instanceof Stopped) return;
      if (isMissingFile(thrown)) return;
      throw thrown;
    }
  }

  async #pause(bytes: number): Promise<void> {
    if (this.#isStopped) throw new Stopped();
    this.#bytes += bytes;
    if (this.#bytes < SLICE_BYTES) return;
    this.#bytes = 0;
    await new Promise<void>((resume) => {
      this.#resting = { timer: this.#clock.setTimer(resume, REST_MS, { keepsAlive: false }), resume };
    });
    this.#resting = undefined;
    if (this.#isStopped) throw new Stopped();
  }
}

/** Ends the check of a table before its end. */
class Stopped extends Error {}
