/**
 * An outage of the journal: from a write that failed until the journal could be opened again and everybody goes by what
 * it really holds. Until then nothing new is taken, what runs goes on, and its outcomes are kept. The journal is tried
 * again by itself, ever less often: there may be room on the disk again, or the disk itself.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 5_000;
/** An outage that begins so soon after another goes on where that one ended: the journal was opened, and not mended. */
const RELAPSE_MS = 10_000;

export interface OutageLinks {
  readonly clock: Clock;
  /** Ends, at once, all that goes by what the journal held; resolves when it has. */
  readonly suspend: () => Promise<void>;
  /**
   * Opens the journal again and brings everything in line with what it holds now; may be tried several times.
   * @param error Of the write that began it.
   */
  readonly reopen: (error: MillraceError) => Promise<void>;
  /** It is over: what was suspended goes on. */
  readonly resume: () => void;
  /** It is not tried again: the outcomes that were kept are lost. */
  readonly giveUp: (error: MillraceError) => void;
  readonly onWarning: (error: MillraceError) => void;
}

export class Outage {
  readonly #links: OutageLinks;
  #error: MillraceError | undefined;
  #failures = 0;
  #delayMs = FIRST_RETRY_MS;
  /** By monotonic time. */
  #beganAt = 0;
  #endedAt = -Infinity;
  #suspended: Promise<void> | undefined;
  #isStopped = false;
  #waiting: { readonly timer: Timer; readonly end: () => void } | undefined;
  #healing: Promise<void> | undefined;

  constructor(links: OutageLinks) {
    this.#links = links;
  }

  /** Why nothing is taken; absent while all is well. */
  get error(): MillraceError | undefined {
    return this.#error;
  }

  /** How long it has been on. */
  get forMs(): number {
    return this.#error ? this.#links.clock.monotonic() - this.#beganAt : 0;
  }

  /** A write has failed. */
  begin(error: MillraceError): void {
    const { clock, suspend, giveUp, onWarning } = this.#links;
    this.#failures++;
    this.#suspended = suspend();
    if (this.#error) return;
    this.#error = error;
    this.#beganAt = clock.monotonic();
    if (clock.monotonic() - this.#endedAt > RELAPSE_MS) this.#delayMs = FIRST_RETRY_MS;
    onWarning(error);
    if (this.#isStopped) giveUp(error);
    else this.#healing = this.#heal(error);
  }

  /** Resolves once it is over, or is not going to be. */
  async over(): Promise<void> {
    await this.#healing;
  }

  /** Tries no more; where an outage is on, what was kept is given up. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#waiting?.timer.cancel();
    this.#waiting?.end();
    await this.#healing;
    if (this.#error) this.#links.giveUp(this.#error);
  }

  /** Never rejects. */
  async #heal(error: MillraceError): Promise<void> {
    const { clock, resume, onWarning } = this.#links;
    let told = error.message;
    for (;;) {
      await this.#suspended;
      await this.#pause();
      if (this.#isStopped) return;
      const failures = this.#failures;
      const reason = await this.#tryAgain(error);
      if (!reason && this.#failures === failures) break;
      // The same reason again is no news.
      if (reason && reason.message !== told) onWarning(reason);
      told = reason?.message ?? told;
    }
    this.#error = undefined;
    this.#endedAt = clock.monotonic();
    resume();
    const seconds = Math.round((clock.monotonic() - this.#beganAt) / 100) / 10;
    const message = `The journal is written again, after ${seconds} s in which it could not be; what was kept meanwhile goes into it`;
    onWarning(new MillraceError('MILLRACE_JOURNAL_REOPENED', message));
  }

  /** @returns why it still cannot be written. */
  async #tryAgain(error: MillraceError): Promise<MillraceError | undefined> {
    try {
      await this.#links.reopen(error);
      return undefined;
    } catch (thrown) {
      return stillOut(asError(thrown));
    }
  }

  #pause(): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    const delayMs = this.#delayMs;
    this.#delayMs = Math.min(2 * delayMs, MAX_RETRY_MS);
    return new Promise((resolve) => {
      this.#waiting = { timer: this.#links.clock.setTimer(resolve, delayMs), end: resolve };
    });
  }
}

function stillOut(error: Error): MillraceError {
  if (error instanceof MillraceError) return error;
  const message = `The journal could not be opened again, and is tried again: ${error.message}`;
  return new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause: error });
}
