/**
 * Keeps a process that has nothing left to do, while somebody waits for what one of its engines has yet to tell: for the
 * job of a queue that is paused, say, which only a signal can make it resume. Node asks when it is about to exit, so that
 * this costs nothing before. One listener is all engines', for there may be many.
 */
import type { Clock } from './clock.js';

/** Whether anybody waits. */
type IsAwaited = () => boolean;

/** Before Node is let ask again. */
const STAY_MS = 1_000;

const engines = new Map<IsAwaited, Clock>();

/** @returns the function that ends it; to be called when the engine has closed. */
export function stayWhile(isAwaited: IsAwaited, clock: Clock): () => void {
  if (engines.size === 0) process.on('beforeExit', stay);
  engines.set(isAwaited, clock);
  return () => {
    engines.delete(isAwaited);
    if (engines.size === 0) process.off('beforeExit', stay);
  };
}

function stay(): void {
  for (const [isAwaited, clock] of engines) if (isAwaited()) clock.setTimer(() => {}, STAY_MS);
}
