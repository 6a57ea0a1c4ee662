/** What a history has a running handler ask of the engine that runs it. */
import type { Fact } from '../crash/facts.js';
import type { Act } from './history.js';
import type { Target } from './operations.js';
import type { Running } from './runs.js';

export type FromWithinAct = Extract<Act, { readonly do: 'followUp' | 'checkpoint' }>;

/**
 * @param number Of the call; it rises.
 * @returns what there is to tell once it is answered.
 */
export async function askFromWithin(
  running: Running,
  act: FromWithinAct,
  number: number,
  known: Target[],
): Promise<Fact> {
  const { id } = running;
  if (act.do === 'checkpoint') {
    const mark = { id, step: number };
    await running.checkpoint(mark);
    return { kind: 'checkpointed', id, mark };
  }
  const { name, options } = act.item;
  if (act.named === undefined) {
    const { id: followUp } = await running.enqueue(name, { token: `follow-up-${number}` }, options);
    known.push({ id: followUp, name });
    return { kind: 'followedUp', id, followUp };
  }
  const followUp = `named-${name}-${act.named}`;
  known.push({ id: followUp, name });
  await running.enqueue(name, { token: followUp }, { ...options, id: followUp });
  return { kind: 'followedUp', id, followUp, isNamed: true };
}
