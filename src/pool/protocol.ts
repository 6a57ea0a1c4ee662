/** What the engine and a thread say to each other; how tasks and answers become bytes is in wire.ts. */
import type { JobRequest, LogLine, Task } from './contract.js';

/** What a thread is told when it is made. */
export interface ThreadData {
  /** Job names and the URLs of their handlers' modules. */
  readonly handlers: Readonly<Record<string, string>>;
  /** How many bytes a result may take, by job name. */
  readonly maxResultBytes: Readonly<Record<string, number>>;
  readonly slots: readonly SharedArrayBuffer[];
  /** A module whose `register()` makes the thread able to load TypeScript. */
  readonly registrar?: string;
}

/** What a thread is asked to do, one after another. `slot` says which of its slots is the chunk's. */
export type ThreadRequest =
  { readonly kind: 'load' } | { readonly kind: 'chunk'; readonly slot: number; readonly tasks: Uint8Array };

/** A handler's module that could not be loaded; `error` is encoded error data. */
export interface LoadFailure {
  readonly name: string;
  readonly error: Uint8Array;
}

/** What a thread found when it loaded the handlers' modules. */
export interface LoadReport {
  readonly failures: readonly LoadFailure[];
  /** Names whose module says that it works on libuv's pool: `export const usesNativePool = true`. */
  readonly native: readonly string[];
}

/** Which task of which chunk a thread speaks of. */
export interface TaskRef {
  readonly slot: number;
  readonly index: number;
}

/** What a thread says on its own port, in the order in which it happened. */
export type ThreadMessage =
  | { readonly kind: 'progress'; readonly of: TaskRef; readonly value: Uint8Array }
  | { readonly kind: 'log'; readonly of: TaskRef; readonly line: LogLine }
  /** What a handler asks for. The thread numbers its requests. */
  | { readonly kind: 'request'; readonly of: TaskRef; readonly number: number; readonly request: JobRequest }
  /** A module has ended the thread while it was loaded. */
  | { readonly kind: 'loadExit'; readonly message: string }
  /** The answers of some tasks, one after another. */
  | { readonly kind: 'answers'; readonly first: TaskRef; readonly bytes: Uint8Array }
  /** An error that no promise of a handler caught. `of`: the task that caused it, while it runs. */
  | {
      readonly kind: 'stray';
      readonly of: TaskRef | undefined;
      readonly jobId: string | undefined;
      readonly error: Uint8Array;
    };

/** What a thread is told on its own port. */
export type EngineMessage =
  /** The task should stop: its word in the shared memory says why. */
  | { readonly kind: 'stop'; readonly of: TaskRef }
  | { readonly kind: 'reply'; readonly number: number; readonly value: unknown }
  /** What came of a request instead of a reply; `error` is encoded error data. */
  | { readonly kind: 'refusal'; readonly number: number; readonly error: Uint8Array };

/** How many chunks a thread has at once: the next one is there when it is through with one. */
export const CHUNKS_PER_THREAD = 2;

/** The first thing a thread sends up: its own port. Piscina's ports are for Piscina's messages alone. */
export const PORT = 'millrace.port';

/** The fields of a task that its thread needs. */
export type ThreadTask = Omit<Task, 'graceMs'>;
