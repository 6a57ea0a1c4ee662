/** A process with one system in it, which is driven turn by turn. */
import type { MakePayload, OpenSystem, Setup } from '../systems/contract.js';
import { drive, type Command } from './drives.js';
import { serve } from './serve.js';

export interface SystemSetup extends Setup {
  /** The system's module. */
  readonly module: string;
  /** Added to each payload. */
  readonly payload?: object;
}

serve(async ({ module, payload: extra, ...setup }: SystemSetup) => {
  const { open } = (await import(`../systems/${module}.js`)) as { open: OpenSystem };
  const system = await open(setup);
  const payload: MakePayload = (id) => ({ id, width: 800, height: 600, path: '/uploads/a.jpg', ...extra });
  return { turn: (command: Command) => drive(system, command, payload), stop: () => system.stop() };
});
