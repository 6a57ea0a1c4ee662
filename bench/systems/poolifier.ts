/** poolifier's fixed pool, which keeps nothing. */
import { fileURLToPath } from 'node:url';
import { FixedThreadPool } from 'poolifier';
import { handlerUrl } from '../handlers/locate.js';
import type { OpenSystem } from './contract.js';

export const open: OpenSystem = async ({ handler, threads }) => {
  const pool = new FixedThreadPool<object>(threads, fileURLToPath(handlerUrl(`poolifier-${handler}`)));
  return {
    run: (payload) => pool.execute(payload),
    stop: () => pool.destroy(),
  };
};
