/** An app: an HTTP server and a job system in one process, with the server's clients in a second one. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Child } from '../measure/child.js';
import { withLoopDelay, type LoopDelay } from '../measure/loop-delay.js';
import type { Loop, MakePayload, OpenSystem } from '../systems/contract.js';
import { drive } from './drives.js';
import type { LoadTurn } from './load.js';
import { serve } from './serve.js';
import type { SystemSetup } from './system.js';

export interface AppTurn {
  /** Longer than the load: what is measured is a saturated process. */
  readonly loop: Loop;
  readonly load: LoadTurn;
}

export interface AppAnswer extends LoopDelay {
  readonly requestsMs: readonly number[];
}

serve(async ({ module, payload: extra, ...setup }: SystemSetup) => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end('{"ok":true}');
  }).listen(0, '127.0.0.1');
  // Connections outlive the other systems' turns: one that is closed as a request goes out would be an error.
  server.keepAliveTimeout = 0;
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const load = await Child.open(new URL('./load.js', import.meta.url), { port });
  const { open } = (await import(`../systems/${module}.js`)) as { open: OpenSystem };
  const system = await open(setup);
  const payload: MakePayload = (id) => ({ id, ...extra });

  async function turn({ loop, load: requests }: AppTurn): Promise<AppAnswer> {
    const saturating = drive(system, { drive: 'loop', ...loop }, payload);
    const [requestsMs, delay] = await withLoopDelay(() => load.turn<number[]>(requests));
    await saturating;
    return { ...delay, requestsMs };
  }
  async function stop(): Promise<void> {
    await load.stop();
    server.close();
    await system.stop();
  }
  return { turn, stop };
});
