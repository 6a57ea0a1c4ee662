/**
 * What a handler in a thread tells of itself, progress and log lines, on its way to the engine, whose event loop takes in
 * only so much at a time. Of progress values beyond that only the last one counts; a handler of more log lines is held up.
 * Both stay in the order in which they were told, also with what else the thread says.
 */
import type { LogLine } from './contract.js';
import { cloneable } from './log-line.js';
import type { TaskRef, ThreadMessage } from './protocol.js';
import type { Slot } from './slot.js';
import { ownBytes } from './wire.js';

/** For how long a progress value may be held back, where the engine hears that soon. */
const HOLD_MS = 10;

/** That of one attempt. */
export class Telling {
  readonly #of: TaskRef;
  readonly #slot: Slot;
  readonly #send: (message: ThreadMessage) => void;
  /** The last progress value, and since when none is sent. */
  #held: { value: Uint8Array; readonly since: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(of: TaskRef, slot: Slot, send: (message: ThreadMessage) => void) {
    this.#of = of;
    this.#slot = slot;
    this.#send = send;
  }

  progress(value: Uint8Array): void {
    if (this.#held) {
      this.#held.value = value;
      // A handler that never awaits gives the timer no turn.
      this.#flushIfDue(this.#held.since);
    } else if (this.#slot.mayTell) {
      this.#tell({ kind: 'progress', of: this.#of, value: ownBytes(value) });
    } else {
      this.#held = { value, since: performance.now() };
      this.#flushLater();
    }
  }

  log(line: LogLine): void {
    const { fields } = line;
    this.#slot.awaitHearing();
    this.flush();
    this.#tell({ kind: 'log', of: this.#of, line: { ...line, fields: cloneable(fields) } });
  }

  /** Sends what is held back: something is to be said that came after it. */
  flush(): void {
    if (!this.#held) return;
    const { value } = this.#held;
    this.#held = undefined;
    clearTimeout(this.#timer);
    this.#tell({ kind: 'progress', of: this.#of, value: ownBytes(value) });
  }

  #flushIfDue(since: number): void {
    if (performance.now() - since >= HOLD_MS && this.#slot.mayTell) this.flush();
  }

  #flushLater(): void {
    this.#timer = setTimeout(() => {
      if (this.#slot.mayTell) this.flush();
      else this.#flushLater();
    }, HOLD_MS).unref();
  }

  #tell(message: ThreadMessage): void {
    this.#slot.tell();
    this.#send(message);
  }
}
