/** Raw Piscina, which keeps nothing: the floor under what worker threads cost. */
import { Piscina } from 'piscina';
import { handlerUrl } from '../handlers/locate.js';
import type { Setup, System } from './contract.js';

export function openPool(
  { handler, threads }: Setup,
  options: { concurrentTasksPerWorker?: number },
): System {
  const filename = handlerUrl(handler).href;
  const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads, ...options });
  return { run: (payload) => pool.run(payload), stop: () => pool.destroy() };
}
