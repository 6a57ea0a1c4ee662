/**
 * Closes engines when their process is told to end, and then lets it end as it would have without them. Node has one
 * list of listeners per process, so all engines of the process share one listener per signal, and the process ends when
 * all of them have closed.
 */
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { checkKnown } from './checks.js';
import { invalidOption } from './errors.js';
import { toMs, type Duration } from './job/duration.js';
import { namesOf } from './job/names.js';

/** The signals that can be asked for: those that ask a process to end, and that it can hear of. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGBREAK', 'SIGUSR2'] as const;
export type CloseSignal = (typeof SIGNALS)[number];

/** What `closeOnSignals` takes. */
export interface CloseOnSignals {
  /** Default `['SIGTERM', 'SIGINT']`. */
  signals?: readonly CloseSignal[];
  /** How long running jobs may take to finish, as in `close()`. Default `'10s'`. */
  timeout?: Duration;
}

const FIELDS = namesOf<CloseOnSignals>({ signals: true, timeout: true });

export interface SignalSettings {
  readonly signals: readonly CloseSignal[];
  readonly timeoutMs: number;
}

/**
 * Closes an engine; what goes wrong it reports itself, for the process ends in any case.
 * @param isEnd The process ends at once after it, by the signal.
 */
type Close = (isEnd: boolean) => Promise<void>;

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkCloseOnSignals(option: boolean | CloseOnSignals): SignalSettings | undefined {
  if (option === false) return undefined;
  if (option !== true && (typeof option !== 'object' || option === null || Array.isArray(option)))
    throw invalidOption('closeOnSignals', 'true, false or an object', option);
  if (option !== true) checkKnown(option, FIELDS, 'closeOnSignals');
  const { signals = ['SIGTERM', 'SIGINT'], timeout = '10s' }: CloseOnSignals = option === true ? {} : option;
  if (!Array.isArray(signals) || signals.length === 0)
    throw invalidOption('closeOnSignals.signals', 'an array of signals', signals);
  const wrong: unknown = signals.find((signal) => !SIGNALS.includes(signal));
  if (wrong !== undefined)
    throw invalidOption('closeOnSignals.signals', `an array of ${SIGNALS.join(', ')}`, wrong);
  if (!isMainThread)
    throw invalidOption('closeOnSignals', 'false in a worker thread, which hears of no signal', option);
  return { signals, timeoutMs: toMs(timeout, 'closeOnSignals.timeout') };
}

/** @returns the function that ends it; to be called when the engine has closed, for whatever reason. */
export function closeOnSignals({ signals }: SignalSettings, close: Close): () => void {
  const listener = processListener();
  listener.add(close, signals);
  return () => listener.remove(close);
}

class SignalListener {
  readonly #engines = new Map<Close, readonly CloseSignal[]>();
  readonly #listeners = new Map<CloseSignal, () => void>();
  #isClosing = false;

  add(close: Close, signals: readonly CloseSignal[]): void {
    this.#engines.set(close, signals);
    for (const signal of signals) {
      if (this.#listeners.has(signal)) continue;
      const listener = (): void => void this.#signalled(signal);
      this.#listeners.set(signal, listener);
      // First of all, so that a listener that is called once is still there to be counted.
      process.prependListener(signal, listener);
    }
  }

  remove(close: Close): void {
    this.#engines.delete(close);
    const wanted = new Set([...this.#engines.values()].flat());
    for (const signal of this.#listeners.keys()) if (!wanted.has(signal)) this.#ignore(signal);
  }

  async #signalled(signal: CloseSignal): Promise<void> {
    // An app that listens, too, decides itself when its process ends.
    const isAlone = process.listenerCount(signal) === 1;
    if (!this.#isClosing) {
      this.#isClosing = true;
      const engines = [...this.#engines].filter(([, signals]) => signals.includes(signal));
      await Promise.allSettled(engines.map(([close]) => close(isAlone)));
      this.#isClosing = false;
    }
    // The second signal comes here at once: whoever sends it does not want to wait any longer.
    if (isAlone) this.#end(signal);
  }

  /** Without a listener a signal does what it always does: the parent sees that it has ended the process. */
  #end(signal: CloseSignal): void {
    this.#ignore(signal);
    process.kill(process.pid, signal);
    // The system keeps such signals from the first process of a container.
    if (process.pid === 1) process.exit(128 + constants.signals[signal]);
  }

  #ignore(signal: CloseSignal): void {
    const listener = this.#listeners.get(signal);
    if (listener) process.off(signal, listener);
    this.#listeners.delete(signal);
  }
}

const REGISTRY = Symbol.for('millrace.signals');

/** Shared by all copies of this package in the process, so it hangs on a registered symbol. */
function processListener(): SignalListener {
  const holder = globalThis as { [REGISTRY]?: SignalListener };
  holder[REGISTRY] ??= new SignalListener();
  return holder[REGISTRY];
}
