/**
 * What a process asked of the system, as strace(1) wrote it down. The order of the lines is the order of events: a
 * call's line comes, or its two lines come, before whatever its caller could do on the strength of it.
 */

/** The system calls that change files, or say which file a descriptor is. */
export const TRACED = [
  'openat',
  'creat',
  'close',
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'pwritev2',
  'fdatasync',
  'fsync',
  'rename',
  'renameat',
  'renameat2',
  'link',
  'linkat',
  'unlink',
  'unlinkat',
  'truncate',
  'ftruncate',
  'fallocate',
  'sendfile',
  'copy_file_range',
] as const;

/** Longer than any single write of the engine's. */
const LONGEST_STRING = 64 << 20;

/** Of strace: all threads, whole strings in hexadecimal, so that no byte can look like the trace itself. */
export const strace = (file: string, ...more: readonly string[]): string[] => [
  // The process is a child of whoever starts it, and strace its companion.
  '-D',
  '-f',
  '--seccomp-bpf',
  '-xx',
  '-s',
  String(LONGEST_STRING),
  '-e',
  `trace=${TRACED.join(',')}`,
  ...more,
  '-o',
  file,
];

/** A call, and the lines of the trace at which it began and was over. */
export interface Call {
  readonly name: string;
  /** As strace shows them; strings in hexadecimal. */
  readonly args: string;
  /** Absent where the process died before it was over. */
  readonly result?: number;
  /** strace answered in place of the system, and nothing was done. */
  readonly isFaked: boolean;
  readonly beganAt: number;
  /** Infinity where the process died first. */
  readonly endedAt: number;
}

interface Begun {
  readonly name: string;
  readonly args: string;
  readonly beganAt: number;
}

const LINE = /^(\d+) +(.*)$/;
const UNFINISHED = ' <unfinished ...>';
const RESUMED = /^<\.\.\. \S+ resumed>(.*)$/;
/** A thread died in a call that was not to be traced. */
const UNKNOWN = '<... ??? resumed>';

/** Reads the lines of one process, and tells its calls as they come to be over. */
export class Trace {
  readonly #onCall: (call: Call) => void;
  readonly #begun = new Map<string, Begun>();
  #line: number;

  /** @param line The number of its first line. */
  constructor(line: number, onCall: (call: Call) => void) {
    this.#line = line;
    this.#onCall = onCall;
  }

  /** The number of the next line. */
  get line(): number {
    return this.#line;
  }

  read(line: string): void {
    const at = this.#line++;
    const [, thread = '', text = ''] = LINE.exec(line) ?? [];
    // Signals and exits.
    if (text.startsWith('---') || text.startsWith('+++') || text.startsWith(UNKNOWN)) return;
    const rest = RESUMED.exec(text)?.[1];
    const begun = rest === undefined ? begin(text, at) : this.#resume(thread, rest);
    if (begun === undefined) throw new Error(`Expected a line of strace, got: ${text.slice(0, 200)}`);
    const { name, args } = begun;
    if (args.endsWith(UNFINISHED)) {
      this.#begun.set(thread, { ...begun, args: args.slice(0, -UNFINISHED.length) });
      // From here on, another thread may be given the descriptor.
      if (name === 'close') this.#onCall(over({ ...begun, args: args.replace(UNFINISHED, ') = 0') }, at));
    } else if (name !== 'close' || rest === undefined) this.#onCall(over(begun, at));
  }

  /** The process has died: what had begun then may have been done or not. */
  end(): void {
    for (const begun of this.#begun.values())
      if (begun.name !== 'close') this.#onCall({ ...begun, isFaked: false, endedAt: Infinity });
    this.#begun.clear();
  }

  #resume(thread: string, rest: string): Begun | undefined {
    const begun = this.#begun.get(thread);
    this.#begun.delete(thread);
    return begun && { ...begun, args: begun.args + rest };
  }
}

function begin(text: string, beganAt: number): Begun | undefined {
  const at = text.indexOf('(');
  return at < 0 ? undefined : { name: text.slice(0, at), args: text.slice(at + 1), beganAt };
}

const RESULT = /\) += (-?\d+|\?)/;

/** @param begun With its result behind its arguments. */
function over({ name, args, beganAt }: Begun, endedAt: number): Call {
  const found = RESULT.exec(args);
  const call = { name, args: args.slice(0, found?.index), isFaked: args.endsWith('(INJECTED)'), beganAt };
  const result = found?.[1] ?? '?';
  return result === '?' ? { ...call, endedAt: Infinity } : { ...call, result: Number(result), endedAt };
}
