/**
 * Which queue is served next. Pure and deterministic: the same calls give the same order.
 *
 * `weighted` is nginx's smooth weighted round-robin: with weights 6/3/1 each run of ten has six, three and one,
 * interleaved, and no queue waits for ever (nginx, ngx_http_upstream_round_robin.c, commit 52327e0). `strict`
 * serves a queue only while all heavier ones have nothing to run.
 */
export type Selection = 'weighted' | 'strict';

export interface Weighted {
  readonly weight: number;
}

export interface Selector<Queue extends Weighted> {
  /** The next queue among those for which `isReady` says yes; the choice counts as served. */
  next(isReady: (queue: Queue) => boolean): Queue | undefined;
}

export function selector<Queue extends Weighted>(
  selection: Selection,
  queues: readonly Queue[],
): Selector<Queue> {
  return selection === 'strict' ? strict(queues) : weighted(queues);
}

function strict<Queue extends Weighted>(queues: readonly Queue[]): Selector<Queue> {
  // The sort is stable: queues of one weight keep the order in which they were declared.
  const byWeight = [...queues].sort((a, b) => b.weight - a.weight);
  return { next: (isReady) => byWeight.find(isReady) };
}

function weighted<Queue extends Weighted>(queues: readonly Queue[]): Selector<Queue> {
  const lines = queues.map((queue) => ({ queue, credit: 0 }));
  return {
    next(isReady) {
      let best: (typeof lines)[number] | undefined;
      let total = 0;
      for (const line of lines) {
        // A queue with nothing to run saves up no credit, and so cannot take a long turn later.
        if (!isReady(line.queue)) continue;
        line.credit += line.queue.weight;
        total += line.queue.weight;
        if (!best || line.credit > best.credit) best = line;
      }
      if (best) best.credit -= total;
      return best?.queue;
    },
  };
}
