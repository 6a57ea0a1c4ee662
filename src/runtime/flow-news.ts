/** What the jobs of flows are told: which jobs have ended that they wait for, and whether these have completed. */
import { MillraceError } from '../errors.js';
import { hasEnded } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { childOf, newsIn, type JobNews } from '../journal/keys.js';
import type { IndexEntry } from '../journal/pages.js';
import { parentFailure } from './parent-failure.js';

/** A job that has ended, and jobs that wait for it. */
export interface News {
  readonly entry: IndexEntry;
  /** Why it does not count as done; absent where it is completed. */
  readonly failure: MillraceError | undefined;
  readonly children: readonly IndexEntry[];
  /** Whether these are the last that are to be told. */
  readonly isLast: boolean;
}

/** What several news are to one child. */
export interface Told {
  readonly id: string;
  /** How many of the jobs that it waits for have ended. */
  readonly parents: number;
  /** Why the first of them that did not complete does not count as done. */
  readonly failure: MillraceError | undefined;
}

/** News as they lie in the journal, and the first children that they are for. */
interface Found {
  readonly entry: IndexEntry;
  readonly said: JobNews;
  readonly children: readonly IndexEntry[];
  readonly isLast: boolean;
}

/** `'open'` where a job has not ended, or not so: then there is, or will be, other news of it. */
type Fate = 'open' | 'completed' | MillraceError;

/** How many jobs that have ended are read at once: each may have a result. */
const PAGE = 20;

/**
 * The first of the news.
 * @param room For how many children: of the last one perhaps not for all of them.
 */
export async function gatherNews(
  journal: Journal,
  entries: readonly IndexEntry[],
  room: number,
): Promise<News[]> {
  const found: Found[] = [];
  for (const entry of entries) {
    if (room <= 0) break;
    const said = newsIn(entry.text);
    const { children, isLast } = await firstChildren(journal, said.id, room);
    found.push({ entry, said, children, isLast });
    room -= children.length;
  }
  const fates = await fatesOf(
    journal,
    found.map(({ said }) => said),
  );
  /** There may be several news of one job, and each child hears of it once. */
  const told = new Set<string>();
  return found.map(({ entry, children, isLast }, i): News => {
    // Safe: there is one for each.
    const fate = fates[i] as Fate;
    if (fate === 'open') return { entry, failure: undefined, children: [], isLast: true };
    const own = children.filter(({ key }) => !told.has(key));
    for (const { key } of own) told.add(key);
    return { entry, failure: fate === 'completed' ? undefined : fate, children: own, isLast };
  });
}

/** Beyond links that are damaged, and left out, there may be others. */
async function firstChildren(
  { indexes }: Journal,
  id: string,
  limit: number,
): Promise<Pick<Found, 'children' | 'isLast'>> {
  for (let after: string | undefined; ;) {
    const { entries, next } = await indexes.children(id, limit, after);
    if (entries.length > 0 || next === undefined) return { children: entries, isLast: next === undefined };
    after = next;
  }
}

async function fatesOf(journal: Journal, news: readonly JobNews[]): Promise<Fate[]> {
  const fates = news.map((): Fate => 'completed');
  // What has completed stays so, and need not be read, which would bring its result along.
  const open = [...news.entries()].filter(([, { end }]) => !end?.isCompleted);
  for (let from = 0; from < open.length; from += PAGE) {
    const some = open.slice(from, from + PAGE);
    const reads = await journal.jobs(some.map(([, { id }]) => id));
    for (const [at, [i, one]] of some.entries()) fates[i] = fateOf(one, reads[at]);
  }
  return fates;
}

function fateOf({ id, end }: JobNews, read: JobRead): Fate {
  const job = read instanceof MillraceError ? undefined : read;
  // Another job may have its id by now.
  const isIt = job !== undefined && (end === undefined || job.spec.sequence === end.sequence);
  if (isIt && !hasEnded(job.status)) return 'open';
  if (isIt && end && (job.status.retries ?? 0) !== end.retries) return 'open';
  if (isIt && job.status.state === 'completed') return 'completed';
  return parentFailure(id, isIt ? job : undefined, read instanceof MillraceError ? read : undefined);
}

/** By their sequences: a job that had the id of a child before may have waited for another. */
export function childrenTold(news: readonly News[]): ReadonlyMap<number, Told> {
  const told = new Map<number, Told>();
  for (const { failure, children } of news)
    for (const { key, text: id } of children) {
      const before = told.get(childOf(key));
      const parents = (before?.parents ?? 0) + 1;
      told.set(childOf(key), { id, parents, failure: before?.failure ?? failure });
    }
  return told;
}
