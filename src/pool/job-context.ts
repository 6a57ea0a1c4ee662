/** Makes the {@link JobContext} of an attempt; the same for threads and inline jobs. */
import { show } from '../errors.js';
import { decode, encode } from '../job/codec.js';
import type { JobContext, JobLog } from '../job/context.js';
import { SnoozeError } from '../job/snooze.js';
import type { JobRequest, LogLine, ParentResults, Task } from './contract.js';

export interface ContextLinks {
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  progress(value: Uint8Array): void;
  log(line: LogLine): void;
  /** @throws the signal's reason, where the attempt is stopped before there is a reply. */
  request(request: JobRequest): Promise<unknown>;
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
    get resumeFrom() {
      // A value of its own each time: what a handler does to it, the next look does not see.
      return task.resumeFrom && decode(task.resumeFrom);
    },
    async checkpoint(value) {
      await links.request({ kind: 'checkpoint', value: encode(value, 'checkpoint') });
    },
    async parentResults() {
      // Safe: the engine replies to each kind of request with its type.
      const results = (await links.request({ kind: 'parentResults' })) as ParentResults;
      return Object.fromEntries(Object.entries(results).map(([key, bytes]) => [key, decode(bytes)]));
    },
    async enqueue(name: unknown, payload?: unknown, options?: unknown) {
      const id = await links.request({
        kind: 'enqueue',
        name: typeof name === 'string' ? name : show(name),
        payload: encode(payload),
        options: options === undefined ? undefined : encode(options, 'options', 'MILLRACE_OPTION_INVALID'),
      });
      // Safe: as above.
      return { id: id as string };
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
