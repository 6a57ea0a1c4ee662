/** Finds out of which job types there are ended jobs, without a walk over what was removed. */
import type { EndedState } from '../job/record.js';
import { endedLaneSpan, endedSpan, finishedAtOf, laneOf } from './keys.js';
import type { Marks } from './marks.js';
import type { Store } from './store.js';

/** A job type of which some ended in a state. */
export interface EndedLane {
  readonly name: string;
  /** When the first of them did. */
  readonly finishedAt: number;
}

export async function endedLanes(store: Store, marks: Marks, state: EndedState): Promise<EndedLane[]> {
  const span = endedSpan(state);
  const lanes: EndedLane[] = [];
  const find = async (start: string, end: string): Promise<void> => {
    for (let from = start; from < end;) {
      const [first] = await store.page({ from, to: end, limit: 1 });
      if (!first) return;
      const name = laneOf(first.key);
      lanes.push({ name, finishedAt: finishedAtOf(first.key) });
      from = endedLaneSpan(state, name).to;
    }
  };
  let { from } = span;
  // Of a type that has a mark much may have been removed, and of those between them nothing was.
  for (const marked of marks.markedUnder(span.from)) {
    const { to } = endedLaneSpan(state, laneOf(marked));
    await find(from, marked);
    await find(marks.startOf(marked), to);
    from = to;
  }
  await find(from, span.to);
  return lanes;
}
