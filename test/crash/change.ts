/** How a workload asks for something of a schedule: it tells what it asks for, and what the engine answers. */
import { MillraceError, type Durability } from '../../src/index.js';
import type { Answered, Changing, Fact } from './facts.js';

/** @param durability What the engine's own writes survive. @param perform Does it, and says what there is to tell. */
export async function change(
  tell: (fact: Fact) => void,
  asked: Omit<Changing, 'kind'>,
  durability: Durability,
  perform: () => Promise<Pick<Answered, 'code' | 'jobId'> | void>,
): Promise<void> {
  const { schedule, call } = asked;
  tell({ kind: 'changing', ...asked });
  try {
    const more = await perform();
    tell({ kind: 'answered', schedule, call, durability, ...more });
  } catch (thrown) {
    if (thrown instanceof MillraceError) tell({ kind: 'answered', schedule, call, code: thrown.code });
    throw thrown;
  }
}

/** What a schedule that is to be removed answers where it is not there. */
export const NOT_FOUND = { code: 'MILLRACE_SCHEDULE_NOT_FOUND' } as const;
