/** A system whose payloads are bytes that cannot be compressed, all of one size. */
import { randomFillSync } from 'node:crypto';
import type { Loop, OpenSystem } from '../systems/contract.js';
import { drive } from './drives.js';
import { serve } from './serve.js';
import type { SystemSetup } from './system.js';

/** `payload` says how many bytes each has. */
export type PayloadSetup = SystemSetup & { readonly payload: { readonly bytes: number } };

serve(async ({ module, payload: { bytes }, ...setup }: PayloadSetup) => {
  const { open } = (await import(`../systems/${module}.js`)) as { open: OpenSystem };
  const system = await open(setup);
  // Random, and as long as the largest: each payload is a piece of it, from another place.
  const source = randomFillSync(new Uint8Array(bytes * 2));
  const payload = (id: number): object => ({ bytes: source.slice(id % bytes, (id % bytes) + bytes) });
  return {
    turn: (loop: Loop) => drive(system, { drive: 'loop', ...loop }, payload),
    stop: () => system.stop(),
  };
});
