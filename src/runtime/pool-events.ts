/** What pools tell, passed on to whom it concerns. */
import type { PoolEvents } from '../pool/contract.js';
import type { Announcer } from './announcer.js';
import type { EmbeddedEngine } from './embedded-engine.js';

/** @param engine The pools exist before the engine that they report to; nothing runs in them before it does. */
export function poolEvents(announcer: Announcer, engine: () => EmbeddedEngine | undefined): PoolEvents {
  return {
    stopping: (task) => engine()?.executor.stopping(task),
    settled: (ends, thread) => engine()?.executor.settle(ends, thread),
    progress: (task, value) => {
      announcer.progress(task, value);
      engine()?.notes.progress(task, value);
    },
    log: (task, line) => {
      announcer.log(task, line);
      engine()?.notes.log(task, line);
    },
    request: async (task, request) => engine()?.requests.answer(task, request),
    warning: (error) => announcer.warning(error),
    available: () => engine()?.wake(),
  };
}
