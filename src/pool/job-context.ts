/** Makes the {@link JobContext} of an attempt; the same for threads and inline jobs. */
import { encode } from '../job/codec.js';
import type { JobContext, JobLog } from '../job/context.js';
import { SnoozeError } from '../job/snooze.js';
import type { LogLine, Task } from './contract.js';

export interface ContextLinks {
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  progress(value: Uint8Array): void;
  log(line: LogLine): void;
}

export function jobContext(task: Omit<Task, 'payload' | 'graceMs'>, links: ContextLinks): JobContext {
  let log: JobLog | undefined;
  const throwIfAborted = (): void => {
    const { signal } = links;
    // `aborted` is read first: in a thread that is what looks at the shared word.
    if (signal.aborted) throw signal.reason;
  };
  return {
    id: task.id,
    name: task.name,
    queue: task.queue,
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    ...(task.scheduledFor !== undefined && { scheduledFor: task.scheduledFor }),
    get signal() {
      return links.signal;
    },
    get log() {
      log ??= jobLog(links);
      return log;
    },
    progress(value) {
      throwIfAborted();
      links.progress(encode(value, 'progress'));
    },
    snooze(delay) {
      throw new SnoozeError(delay);
    },
    throwIfAborted,
  };
}

function jobLog(links: ContextLinks): JobLog {
  const at =
    (level: LogLine['level']) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      links.log({ level, message, fields });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
