/** No engine at all: the work is done in the main thread, with a turn of the event loop between two jobs. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { handlerUrl } from '../handlers/locate.js';
import type { OpenSystem } from './contract.js';

export const open: OpenSystem = async ({ handler }) => {
  const module = (await import(handlerUrl(handler).href)) as { default: (payload: object) => unknown };
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: (payload) => {
      // A chain: several in flight would otherwise all run in one turn.
      last = last.then(() => nextTurn()).then(() => module.default(payload));
      return last;
    },
    stop: async () => {},
  };
};
