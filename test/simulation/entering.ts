/** What a history brings into queues with a bound, and what comes of it. */
import { MillraceError } from '../../src/index.js';
import type { ActOf, Call } from './operations.js';

export function enter(call: Call, { queue, options }: ActOf<'enter'>): void {
  const controller = new AbortController();
  call.patience.push(controller);
  const own = { call: call.token(), queue };
  const tokens = options.map((_one, i) => `${own.call}-${i}`);
  call.ask('enter', undefined, async () => {
    call.tell({ kind: 'entering', ...own, tokens });
    const ids = await entered(call, queue, options, tokens, controller.signal).catch((thrown: unknown) => {
      const isFull = thrown instanceof MillraceError && thrown.code === 'MILLRACE_QUEUE_FULL';
      const hasGivenUp = controller.signal.aborted && thrown === controller.signal.reason;
      if (isFull || hasGivenUp) call.tell({ kind: 'turnedAway', call: own.call, isFull });
      if (!hasGivenUp) throw thrown;
    });
    if (!ids) return;
    for (const [i, id] of ids.entries()) {
      call.tell({ kind: 'enqueued', id, name: 'work', token: tokens[i] ?? '' });
      call.known.push({ id, name: 'work' });
    }
    call.tell({ kind: 'entered', call: own.call, ids });
  });
}

/** @returns the ids of jobs that have come into a queue with a bound. */
async function entered(
  { engine }: Call,
  queue: ActOf<'enter'>['queue'],
  options: ActOf<'enter'>['options'],
  tokens: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const items = options.map((own, i) => ({
    name: 'work',
    payload: { token: tokens[i] ?? '' },
    options: { ...own, queue, signal },
  }));
  const [first, ...others] = items;
  if (first && others.length === 0)
    return [(await engine.enqueue(first.name, first.payload, first.options)).id];
  return (await engine.enqueueMany(items)).map(({ id }) => id);
}
