/** Makes the {@link JobContext} of an attempt; the same for threads and inline jobs. */
import { invalidOption, read, show } from '../errors.js';
import { decode, DEFAULT_MAX_BYTES, encode } from '../job/codec.js';
import type { JobContext, JobLog } from '../job/context.js';
import type { Duration } from '../job/duration.js';
import { SnoozeError } from '../job/snooze.js';
import { Call } from './call.js';
import type { JobRequest, LogLine, Task } from './contract.js';
import { lineOf } from './log-line.js';
import { decodeParentResults } from './wire.js';

export interface ContextLinks {
  /** How many bytes a checkpoint or progress may take, as a result may; absent: the default. */
  readonly maxResultBytes?: number | undefined;
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  progress(value: Uint8Array): void;
  log(line: LogLine): void;
  /** @throws the signal's reason, where the attempt is stopped before there is a reply. */
  request(request: JobRequest): Promise<unknown>;
  /** Looks after a promise that the handler is given, and may not await. */
  hand<Value>(promise: Promise<Value>): Promise<Value>;
}

type ContextTask = Omit<Task, 'payload' | 'graceMs'>;

/**
 * Handlers may take it apart, so what they call are closures. What is made when it is first asked for is not: V8 makes the
 * getters of an object literal, and a shape, for each object anew, and takes two microseconds for that.
 */
class AttemptContext implements JobContext {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  declare readonly scheduledFor?: number;
  readonly #task: ContextTask;
  readonly #links: ContextLinks;
  #log: JobLog | undefined;

  constructor(task: ContextTask, links: ContextLinks) {
    this.id = task.id;
    this.name = task.name;
    this.queue = task.queue;
    this.attempt = task.attempt;
    this.maxAttempts = task.maxAttempts;
    if (task.scheduledFor !== undefined) this.scheduledFor = task.scheduledFor;
    this.#task = task;
    this.#links = links;
  }

  get signal(): AbortSignal {
    return this.#links.signal;
  }

  get log(): JobLog {
    this.#log ??= jobLog(this.#links);
    return this.#log;
  }

  get resumeFrom(): unknown {
    const { resumeFrom } = this.#task;
    // A value of its own each time: what a handler does to it, the next look does not see.
    return resumeFrom && decode(resumeFrom);
  }

  readonly throwIfAborted = (): void => {
    const { signal } = this.#links;
    // `aborted` is read first: in a thread that is what looks at the shared word.
    if (signal.aborted) throw signal.reason;
  };

  readonly progress = (value: unknown): void => {
    this.throwIfAborted();
    let bytes: Uint8Array;
    try {
      bytes = this.#encode(value, 'progress');
    } catch (thrown) {
      throw new Call('progress', this.progress).refused(thrown, true);
    }
    this.#links.progress(bytes);
  };

  readonly snooze = snooze;

  readonly checkpoint = (value: unknown): Promise<void> =>
    ask(
      this.#links,
      new Call('checkpoint', this.checkpoint),
      () => ({ kind: 'checkpoint', value: this.#encode(value, 'checkpoint') }),
      nothing,
    );

  readonly parentResults = (): Promise<Record<string, unknown>> =>
    this.#links.hand(parentResults(this.#links));

  readonly enqueue = (name: unknown, payload?: unknown, options?: unknown): Promise<{ id: string }> =>
    ask(
      this.#links,
      new Call('enqueue', this.enqueue, name),
      () => ({
        kind: 'enqueue',
        name: typeof name === 'string' ? name : show(name),
        payload: encode(payload),
        options: options === undefined ? undefined : encodeOptions(options),
      }),
      // Safe: the engine replies to each kind of request with its type.
      (id) => ({ id: id as string }),
    );

  /** @throws PayloadInvalidError */
  #encode(value: unknown, what: 'progress' | 'checkpoint'): Uint8Array {
    const { maxResultBytes: maxBytes = DEFAULT_MAX_BYTES } = this.#links;
    const advice = (): string =>
      `Raise \`maxResultBytes\` of job type ${this.name}, or store the data elsewhere and tell where it is`;
    return encode(value, what, 'MILLRACE_PAYLOAD_INVALID', { maxBytes, advice });
  }
}

export const jobContext = (task: ContextTask, links: ContextLinks): JobContext =>
  new AttemptContext(task, links);

/**
 * @param make Throws where what is asked for cannot be stored.
 */
function ask<Reply>(
  links: ContextLinks,
  call: Call,
  make: () => JobRequest,
  decoded: (reply: unknown) => Reply,
): Promise<Reply> {
  const promise = (async () => {
    let request: JobRequest | undefined;
    try {
      request = make();
      return decoded(await links.request(request));
    } catch (thrown) {
      throw call.refused(thrown, request === undefined);
    }
  })();
  return links.hand(promise);
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
function encodeOptions(options: unknown): Uint8Array {
  const signal = typeof options === 'object' && options !== null && read(options, 'signal');
  if (signal)
    throw invalidOption('signal', 'absent: there is nothing that it could end the waiting for', signal);
  return encode(options, 'options', 'MILLRACE_OPTION_INVALID');
}

const nothing = (): void => {};

/** A page at a time: whoever brings them has one of them in its memory, and its event loop a turn behind each. */
async function parentResults(links: ContextLinks): Promise<Record<string, unknown>> {
  const results: [key: string, result: unknown][] = [];
  for (let from: number | undefined = 0; from !== undefined;) {
    // Safe: as for any reply.
    const page = decodeParentResults((await links.request({ kind: 'parentResults', from })) as Uint8Array);
    for (const [key, bytes] of page.results) results.push([key, decode(bytes)]);
    from = page.next;
  }
  return Object.fromEntries(results);
}

function snooze(delay: Duration): never {
  throw new SnoozeError(delay);
}

function jobLog(links: ContextLinks): JobLog {
  const at =
    (level: LogLine['level']) =>
    (message: unknown, fields?: unknown): void =>
      links.log({ level, ...lineOf(message, fields) });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
