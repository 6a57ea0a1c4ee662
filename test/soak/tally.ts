/** Counts what an engine tells of its jobs. */
import type { Engine } from './catalogue.js';

export class Tally {
  jobs = 0;
  failures = 0;
  timeouts = 0;
  threadKills = 0;
  cancels = 0;
  /** What the engine warned of, and no one expected. */
  readonly warnings = new Map<string, number>();

  listenTo(engine: Engine): void {
    engine.on('enqueued', () => this.jobs++);
    engine.on('failed', () => this.failures++);
    engine.on('cancelled', () => this.cancels++);
    engine.on('errored', ({ name, error }) => {
      const isTimeout = error.code === 'MILLRACE_TIMEOUT';
      if (isTimeout) this.timeouts++;
      if (error.code === 'MILLRACE_HANDLER_EXITED' || (isTimeout && name === 'deadly')) this.threadKills++;
    });
    engine.on('warning', ({ code, message }) => {
      // A machine that is short of processors takes a while to end a thread.
      if (code === 'MILLRACE_THREAD_STUCK') return;
      const what = `${code}: ${message}`;
      this.warnings.set(what, (this.warnings.get(what) ?? 0) + 1);
    });
  }
}
