/**
 * Keeps the witness (witness.ts) current while the journal is written to, at most every {@link WITNESS_INTERVAL_MS},
 * beside the writes and never in their way: a witness that cannot be written hurts no job.
 *
 * It says only what was there when a write had ended and the next had not begun. Whether LevelDB has begun a new log
 * meanwhile is looked up afterwards, for a new log can only be found after it has been made.
 */
import { statSync } from 'node:fs';
import { open, readdir, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { isMissingFile } from './file-fault.js';
import { CURRENT, logName, manifestName, manifestOf, sortNames } from './files/names.js';
import { syncDirectory, syncFile } from './file-sync.js';
import {
  AFTER_FAILURE,
  encodeTestimony,
  WITNESS,
  WITNESS_BYTES,
  type LogClaim,
  type Testimony,
} from './witness.js';

/**
 * How far the witness may be behind. This is the bound of what can be lost without a trace: damage to what was
 * written in the last so many milliseconds before a crash can look like what the crash itself does.
 */
export const WITNESS_INTERVAL_MS = 200;

interface WitnessOptions {
  readonly directory: string;
  /** Which start of the machine this is. */
  readonly boot: string;
  /** Of the last testimony in the file. */
  readonly turn: number;
  readonly clock: Clock;
  /** Called once, when it cannot be written. */
  readonly onWarning: (error: MillraceError) => void;
}

export class WitnessKeeper {
  readonly #options: WitnessOptions;
  #file: FileHandle | undefined;
  #turn: number;
  #manifest = 0;
  #logs: LogClaim[] = [];
  /** The size that the newest log had after the last synced write, if that went to this log. */
  #synced = 0;
  #isLastSynced = false;
  #inFlight = 0;
  #writeFailed = false;
  #isBroken = false;
  #isClosing = false;
  #isDue = false;
  #notedAt = -Infinity;
  #timer: Timer | undefined;
  #noting: Promise<void> | undefined;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#turn = options.turn;
  }

  /** LevelDB is open: from here on it writes other files than before. */
  begin(): void {
    this.#writeFailed = false;
    this.#logs = [];
    this.#synced = 0;
    this.#run(async () => {
      const { directory } = this.#options;
      this.#file ??= await openWitness(directory);
      this.#manifest = await this.#currentManifest();
      this.#notedAt = this.#options.clock.monotonic();
      await this.#note();
    });
  }

  /** LevelDB is going to be opened again, after a write has failed. */
  async pause(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#noting;
  }

  /** To be called before each write, and {@link ended} after it. */
  begun(): void {
    this.#inFlight++;
  }

  ended(isSynced: boolean, succeeded: boolean): void {
    this.#inFlight--;
    if (!succeeded) this.#writeFailed = true;
    if (this.#inFlight > 0 || this.#writeFailed || this.#isBroken) return;
    this.#isLastSynced = isSynced;
    try {
      if (isSynced) this.#synced = this.#sizeOfNewest();
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    const isDue = this.#isDue || this.#options.clock.monotonic() - this.#notedAt >= WITNESS_INTERVAL_MS;
    if (isDue && !this.#noting) this.#startNote();
    else this.#arm();
  }

  /** LevelDB is closed: somebody else may have opened it already. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.pause();
    if (this.#file && !this.#isBroken)
      await this.#attempt(() => (this.#writeFailed ? this.#noteFailure() : this.#noteClean()));
    await this.#file?.close();
  }

  /** Another note, also where no write follows. */
  #arm(): void {
    if (this.#isClosing) return;
    this.#timer ??= this.#options.clock.setTimer(
      () => {
        this.#timer = undefined;
        if (this.#inFlight > 0 || this.#noting) this.#isDue = true;
        else this.#startNote();
      },
      WITNESS_INTERVAL_MS,
      { keepsAlive: false },
    );
  }

  #startNote(): void {
    if (this.#isClosing || this.#writeFailed || this.#isBroken) return;
    this.#isDue = false;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#notedAt = this.#options.clock.monotonic();
    this.#run(() => this.#note());
  }

  #run(step: () => Promise<void>): void {
    this.#noting = this.#attempt(step).then(() => {
      this.#noting = undefined;
      // It fell due meanwhile, and no write may follow.
      if (this.#isDue && this.#inFlight === 0) this.#startNote();
    });
  }

  async #note(): Promise<void> {
    const written = this.#inFlight === 0 ? this.#sizeOfNewest() : 0;
    const synced = this.#synced;
    const { logs } = sortNames(await readdir(this.#options.directory));
    const last = this.#logs.at(-1);
    const kept = this.#logs.slice(0, -1).filter(({ number }) => logs.includes(number));
    const newest = logs.at(-1) ?? 0;
    if (last?.number === newest) {
      const claim = { written: Math.max(last.written, written), synced: Math.max(last.synced, synced) };
      this.#logs = [...kept, { number: newest, ...claim }];
    } else {
      // The old log gets nothing more; which of the sizes above were the new one's cannot be told.
      if (last && logs.includes(last.number)) kept.push({ ...last, written: this.#sizeOf(last.number) });
      this.#logs = [...kept, { number: newest, written: 0, synced: 0 }];
      // The write that made the new log is in it, and so are all since.
      this.#synced = this.#inFlight === 0 && this.#isLastSynced ? this.#sizeOf(newest) : 0;
      this.#arm();
      // LevelDB does not wait until the names of new files, CURRENT's among them, are on the disk.
      await syncDirectory(this.#options.directory);
    }
    await this.#write({ isClean: false, manifestBytes: 0 });
  }

  /** LevelDB writes on when it closes, and what it writes then need not be whole. */
  async #noteFailure(): Promise<void> {
    await this.#write({ isClean: false, manifestBytes: 0, boot: AFTER_FAILURE });
  }

  /** All is on the disk: no later power cut can take anything back. */
  async #noteClean(): Promise<void> {
    const { directory } = this.#options;
    let manifestBytes: number;
    try {
      const { logs } = sortNames(await readdir(directory));
      this.#logs = [];
      for (const number of logs) {
        const size = await syncFile(join(directory, logName(number)));
        // Nothing is to be said of an empty one: it may be the first file of the next owner.
        if (size > 0) this.#logs.push({ number, written: size, synced: size });
      }
      manifestBytes = await syncFile(join(directory, manifestName(this.#manifest)));
      await syncDirectory(directory);
    } catch (thrown) {
      if (await this.#isSucceeded()) return;
      throw thrown;
    }
    if (await this.#isSucceeded()) return;
    await this.#write({ isClean: true, manifestBytes });
  }

  /** Whether somebody else has opened the journal since: each open makes another manifest. */
  async #isSucceeded(): Promise<boolean> {
    return (await this.#currentManifest()) !== this.#manifest;
  }

  async #currentManifest(): Promise<number> {
    return manifestOf(await readFile(join(this.#options.directory, CURRENT), 'latin1')) ?? 0;
  }

  async #write(fields: Pick<Testimony, 'isClean' | 'manifestBytes'> & { boot?: string }): Promise<void> {
    const { boot } = this.#options;
    const [turn, manifest, logs] = [++this.#turn, this.#manifest, this.#logs];
    const { at, bytes } = encodeTestimony({ turn, boot, manifest, logs, ...fields });
    await this.#file?.write(bytes, 0, bytes.length, at);
    await this.#file?.datasync();
  }

  #sizeOfNewest(): number {
    const newest = this.#logs.at(-1);
    return newest ? this.#sizeOf(newest.number) : 0;
  }

  /** Synchronous, for only now is no write in flight; 0 where the file has gone. */
  #sizeOf(number: number): number {
    const path = join(this.#options.directory, logName(number));
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    this.#isBroken = true;
    const cause = asError(thrown);
    const message = `The journal's witness could not be written: ${cause.message}. All goes on without; until the journal is opened again, a loss at the end of its log can go unnoticed`;
    this.#options.onWarning(new MillraceError('MILLRACE_JOURNAL_WITNESS', message, { cause }));
  }
}

/** Makes it where there is none; its bytes are written in place from then on. */
async function openWitness(directory: string): Promise<FileHandle> {
  const path = join(directory, WITNESS);
  try {
    const file = await open(path, 'r+');
    if ((await file.stat()).size === WITNESS_BYTES) return file;
    await file.close();
  } catch (thrown) {
    if (!isMissingFile(thrown)) throw thrown;
  }
  const file = await open(path, 'w+', 0o600);
  // Both places are sound from the beginning: one that is not means damage.
  for (const turn of [0, 1]) {
    const nothing = { turn, boot: '', isClean: false, manifest: 0, manifestBytes: 0, logs: [] };
    const { at, bytes } = encodeTestimony(nothing);
    await file.write(bytes, 0, bytes.length, at);
  }
  await file.sync();
  await syncDirectory(directory);
  return file;
}
