/** What an engine tells its listeners. Each event is emitted after the commit that it speaks of. */
import { checkFunction, oneOf } from './checks.js';
import type { JobCatalogue, JobResult } from './define.js';
import type { MillraceError } from './errors.js';
import type { ErrorData } from './job/error-data.js';
import { namesOf } from './job/names.js';

/** Which job an event speaks of. */
export interface JobEvent<Name extends string = string> {
  readonly id: string;
  readonly name: Name;
  readonly queue: string;
}

/** Which attempt an event speaks of. */
export interface AttemptEvent<Name extends string = string> extends JobEvent<Name> {
  /** Counted from 1; 0 of a job that failed before its first. */
  readonly attempt: number;
}

/** An attempt that completed its job; its `name` tells of which type the result is. */
type CompletedEvent<Jobs extends JobCatalogue> = {
  [Name in keyof Jobs & string]: AttemptEvent<Name> & {
    readonly result: JobResult<Jobs[Name]>;
    readonly durationMs: number;
  };
}[keyof Jobs & string];

/**
 * The events by name, and what their listeners get. What runs is of a type that the code knows; what is enqueued, ends
 * without running or is rescued can be of any that the journal has. That an attempt put its job off (`job.snooze()`,
 * `RetryAfterError`) is no event: the job's snapshot tells of it, and an `info` line of the `logger`.
 */
export interface MillraceEvents<Jobs extends JobCatalogue = JobCatalogue> {
  /** A job was acknowledged. */
  enqueued: JobEvent;
  /** An attempt was claimed and handed to its thread. */
  started: AttemptEvent<keyof Jobs & string>;
  /** The handler called `job.progress(value)`. */
  progress: AttemptEvent<keyof Jobs & string> & { readonly value: unknown };
  /** `durationMs`: from the claim to the outcome. */
  completed: CompletedEvent<Jobs>;
  /** An attempt errored; `retrying` or `failed` follows. */
  errored: AttemptEvent<keyof Jobs & string> & { readonly error: ErrorData };
  /** The job gets another attempt at `runAt` (epoch milliseconds). */
  retrying: AttemptEvent<keyof Jobs & string> & { readonly error: ErrorData; readonly runAt: number };
  /** The job gave up; without an `errored` before where that was no attempt's doing, as where it expired. */
  failed: AttemptEvent & { readonly error: ErrorData };
  /** The job was cancelled, and its handler, if there was one, has gone. */
  cancelled: JobEvent & { readonly reason?: string };
  /** A job that was running when its process died is available again. */
  rescued: JobEvent;
  /** No job is available or running any more. */
  drained: Record<never, never>;
  /** Something that an operator should know; also logged. */
  warning: MillraceError;
}

const EVENTS = namesOf<MillraceEvents>({
  enqueued: true,
  started: true,
  progress: true,
  completed: true,
  errored: true,
  retrying: true,
  failed: true,
  cancelled: true,
  rescued: true,
  drained: true,
  warning: true,
});

/** What it returns is ignored; what it throws becomes a `warning`. */
export type Listener<Value> = (value: Value) => unknown;

/** Where an event's value costs something to make, it is made only if somebody listens. */
export class Emitter {
  readonly #listeners = new Map<keyof MillraceEvents, Set<Listener<never>>>();
  /** Told of what a listener threw, or rejected with. */
  readonly #onThrow: (event: keyof MillraceEvents, thrown: unknown) => void;

  constructor(onThrow: (event: keyof MillraceEvents, thrown: unknown) => void) {
    this.#onThrow = onThrow;
  }

  /** @throws MillraceError `MILLRACE_OPTION_INVALID` */
  on<Event extends keyof MillraceEvents>(
    event: Event,
    listener: Listener<MillraceEvents[Event]>,
  ): () => void {
    oneOf(event, 'event', EVENTS);
    checkFunction(listener, 'listener');
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    // Wrapped, so that a function that was registered twice is called twice and removed once.
    const own: Listener<MillraceEvents[Event]> = (value) => listener(value);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  emit<Event extends keyof MillraceEvents>(event: Event, value: () => MillraceEvents[Event]): void {
    const listeners = this.#listeners.get(event);
    if (!listeners?.size) return;
    const made = value();
    for (const listener of listeners)
      void this.#call(event, listener as Listener<MillraceEvents[Event]>, made);
  }

  async #call<Event extends keyof MillraceEvents>(
    event: Event,
    listener: Listener<MillraceEvents[Event]>,
    value: MillraceEvents[Event],
  ): Promise<void> {
    try {
      await listener(value);
    } catch (thrown) {
      this.#onThrow(event, thrown);
    }
  }
}
