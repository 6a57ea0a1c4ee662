/** Who is claimed together, and who ends together, in one transaction: each such group gets one roster, when it is complete. */
import type { EndedState, JobSpec, JobStatus } from '../job/record.js';
import type { ChangeList } from './change-list.js';
import { endedKey, incomplete, runningKey } from './keys.js';

/** Jobs of a type that end in one state, under a key that tells when the last of them did. */
interface Ended {
  readonly state: EndedState;
  readonly name: string;
  /** How often they were retried before. */
  readonly retries: number;
  finishedAt: number;
  readonly sequence: number;
  readonly ids: string[];
}

export class NewRosters {
  readonly #claims = new Map<number, string[]>();
  readonly #ended: Ended[] = [];

  claim(spec: JobSpec, { claim }: JobStatus): void {
    if (claim === undefined) throw incomplete(spec);
    const ids = this.#claims.get(claim);
    if (ids) ids.push(spec.id);
    else this.#claims.set(claim, [spec.id]);
  }

  end(spec: JobSpec, state: EndedState, { finishedAt, retries = 0 }: JobStatus): void {
    if (finishedAt === undefined) throw incomplete(spec);
    const { id, name, sequence } = spec;
    const lane = this.#ended.find(
      (ended) => ended.state === state && ended.name === name && ended.retries === retries,
    );
    if (lane) {
      lane.ids.push(id);
      lane.finishedAt = Math.max(lane.finishedAt, finishedAt);
    } else this.#ended.push({ state, name, retries, finishedAt, sequence, ids: [id] });
  }

  /** To be called once, when nobody joins any more. */
  addTo(changes: ChangeList): void {
    for (const [claim, ids] of this.#claims) changes.keepRoster(runningKey(claim), ids);
    for (const { state, name, finishedAt, sequence, retries, ids } of this.#ended)
      changes.keepRoster(endedKey(state, name, finishedAt, sequence, retries), ids);
  }
}
