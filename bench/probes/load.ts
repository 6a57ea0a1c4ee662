/**
 * The clients of an HTTP server on the loopback: a bounded number of requests, begun at fixed times whether or not
 * earlier ones are answered, so that a server which stands still is not asked less.
 */
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from './serve.js';

export interface LoadTurn {
  readonly requests: number;
  readonly everyMs: number;
}

const MAX_SOCKETS = 16;

serve(async ({ port }: { port: number }) => {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });

  /** How long it took from when it was due. */
  const request = (dueAt: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume();
        response.once('end', () => resolve(performance.now() - dueAt));
      });
      sent.once('error', reject);
    });

  async function turn({ requests, everyMs }: LoadTurn): Promise<number[]> {
    const startedAt = performance.now();
    const answered: Promise<number>[] = [];
    for (let i = 0; i < requests; i++) {
      const dueAt = startedAt + i * everyMs;
      const early = dueAt - performance.now();
      if (early > 0) await sleep(early);
      answered.push(request(dueAt));
    }
    return Promise.all(answered);
  }
  return { turn, stop: async () => agent.destroy() };
});
