/** All schedules in memory, as they are committed, and in which order they are next to be looked after. */
import type { Schedule } from '../schedule/record.js';

interface Entry {
  readonly schedule: Schedule;
  /** When it is to be looked after next; `Infinity`: not at all. */
  readonly at: number;
}

export class Timetable {
  #entries = new Map<string, Entry>();
  /** Those with a time, the first one first. */
  #agenda: Entry[] = [];

  get(name: string): Schedule | undefined {
    return this.#entries.get(name)?.schedule;
  }

  /** By name. */
  all(): Schedule[] {
    const schedules = Array.from(this.#entries.values(), ({ schedule }) => schedule);
    return schedules.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  put(schedule: Schedule, at: number): void {
    this.remove(schedule.name);
    const entry = { schedule, at };
    this.#entries.set(schedule.name, entry);
    if (at < Infinity) this.#agenda.splice(this.#placeOf(entry), 0, entry);
  }

  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    if (entry.at < Infinity) this.#agenda.splice(this.#placeOf(entry), 1);
  }

  /** These, and no others. */
  fill(entries: readonly Entry[]): void {
    this.#entries = new Map(entries.map((entry) => [entry.schedule.name, entry]));
    this.#agenda = entries.filter(({ at }) => at < Infinity).sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  /** When the first is to be looked after. */
  get nextAt(): number {
    return this.#agenda[0]?.at ?? Infinity;
  }

  /** The names of those that are to be looked after by now, the first ones first. */
  due(now: number, limit: number): string[] {
    const names: string[] = [];
    for (const { at, schedule } of this.#agenda) {
      if (at > now || names.length === limit) break;
      names.push(schedule.name);
    }
    return names;
  }

  /** Where the entry is in the agenda, or belongs. */
  #placeOf(entry: Entry): number {
    let [low, high] = [0, this.#agenda.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      // Safe: it is below the length.
      if (isBefore(this.#agenda[middle] as Entry, entry)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const isBefore = (a: Entry, b: Entry): boolean =>
  a.at === b.at ? a.schedule.name < b.schedule.name : a.at < b.at;
