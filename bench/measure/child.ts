/**
 * A process that is measured: forked from a program of `probes/`, asked to take turns, stopped. Every question has
 * a time limit, and a process that does not keep it is killed, so that no run goes on for ever.
 */
import { fork, type ChildProcess } from 'node:child_process';

const ANSWER_MS = 20_000;
const STOP_MS = 5_000;
const MAX_STDERR = 2_000;

/** What a program is told, and what it says. */
export type Question = { readonly open: object } | { readonly turn: object } | { readonly stop: true };
export type Answer = { readonly answer: unknown } | { readonly failed: string };

export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #stderr = '';

  private constructor(program: URL, env: NodeJS.ProcessEnv) {
    this.#process = fork(program, [], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-MAX_STDERR);
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', () => resolve());
    });
    // Without a listener an 'error' (a channel that closed) would end this process.
    this.#process.on('error', () => {});
  }

  /** @throws Error with what the program said, where it cannot open. */
  static async open(program: URL, setup: object, env: NodeJS.ProcessEnv = {}): Promise<Child> {
    const child = new Child(program, env);
    try {
      await child.#ask({ open: setup });
      return child;
    } catch (thrown) {
      await child.kill();
      throw thrown;
    }
  }

  turn<A>(command: object): Promise<A> {
    // Safe: the scenario that asks knows the program that answers.
    return this.#ask({ turn: command }) as Promise<A>;
  }

  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.send({ stop: true } satisfies Question);
    await Promise.race([this.#exited, expired(STOP_MS)]);
    await this.kill();
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill('SIGKILL');
    await this.#exited;
  }

  async #ask(question: Question): Promise<unknown> {
    const cleanup = new AbortController();
    const { signal } = cleanup;
    try {
      const answered = new Promise<Answer>((resolve) => {
        this.#process.once('message', resolve);
        signal.addEventListener('abort', () => this.#process.off('message', resolve));
      });
      const gone = this.#exited.then((): Answer => ({ failed: `its process ended: ${this.#stderr.trim()}` }));
      const late = expired(ANSWER_MS, signal).then((): Answer => ({
        failed: `no answer within ${ANSWER_MS / 1_000} s ${this.#stderr.trim()}`,
      }));
      this.#process.send(question);
      const answer = await Promise.race([answered, gone, late]);
      if ('failed' in answer) throw new Error(answer.failed);
      return answer.answer;
    } finally {
      cleanup.abort();
    }
  }
}

/** Resolves after so long, and keeps no process alive; never once aborted. */
function expired(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    timer.unref();
    signal?.addEventListener('abort', () => clearTimeout(timer));
  });
}
