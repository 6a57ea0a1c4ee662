/** Makes the {@link JobContext} of an attempt; the same for threads and inline jobs. */
import { encode } from '../job/codec.js';
import type { JobContext, JobLog } from '../job/context.js';
import type { LogLine, Task } from './contract.js';

export interface ContextLinks {
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  progress(value: Uint8Array): void;
  log(line: LogLine): void;
}

export function jobContext(task: Omit<Task, 'payload' | 'graceMs'>, links: ContextLinks): JobContext {
  return new Context(task, links);
}

/**
 * Its functions are made when they are first asked for, since most small handlers never do; and bound, so that a
 * handler may take them out of it.
 */
class Context implements JobContext {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly #links: ContextLinks;
  #log: JobLog | undefined;
  #progress: JobContext['progress'] | undefined;
  #throwIfAborted: JobContext['throwIfAborted'] | undefined;

  constructor(task: Omit<Task, 'payload' | 'graceMs'>, links: ContextLinks) {
    this.id = task.id;
    this.name = task.name;
    this.queue = task.queue;
    this.attempt = task.attempt;
    this.maxAttempts = task.maxAttempts;
    this.#links = links;
  }

  get signal(): AbortSignal {
    return this.#links.signal;
  }

  get log(): JobLog {
    this.#log ??= jobLog(this.#links);
    return this.#log;
  }

  get progress(): JobContext['progress'] {
    this.#progress ??= (value) => {
      this.throwIfAborted();
      this.#links.progress(encode(value, 'progress'));
    };
    return this.#progress;
  }

  get throwIfAborted(): JobContext['throwIfAborted'] {
    this.#throwIfAborted ??= () => {
      const { signal } = this.#links;
      // `aborted` is read first: in a thread that is what looks at the shared word.
      if (signal.aborted) throw signal.reason;
    };
    return this.#throwIfAborted;
  }
}

function jobLog(links: ContextLinks): JobLog {
  const at =
    (level: LogLine['level']) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      links.log({ level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
