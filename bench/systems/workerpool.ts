/** workerpool, which keeps nothing. */
import { fileURLToPath } from 'node:url';
import workerpool from 'workerpool';
import { handlerUrl } from '../handlers/locate.js';
import type { OpenSystem } from './contract.js';

export const open: OpenSystem = async ({ handler, threads }) => {
  const script = fileURLToPath(handlerUrl(`workerpool-${handler}`));
  const pool = workerpool.pool(script, { minWorkers: threads, maxWorkers: threads, workerType: 'thread' });
  return {
    run: async (payload) => pool.exec(handler, [payload]),
    stop: async () => {
      await pool.terminate();
    },
  };
};
