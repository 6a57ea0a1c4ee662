/**
 * Every job of a view, once, with the jobs that wait in the order in which they would be claimed. The order comes from
 * the indexes, the completeness from the records: whatever an index has lost, or shows in the wrong place, is found
 * among the records in the end. So nothing has to be kept in memory but a page of each lane, and what runs.
 */
import { MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import { isOrphanOf, orphaned } from '../job/transitions.js';
import { orphanWithKey } from '../job/uniqueness.js';
import { unsealText } from './integrity.js';
import { readJob, readJobs, type JobRead } from './job-reads.js';
import {
  ALL_READY_SPAN,
  claimOf,
  DUE_SPAN,
  keyedSpan,
  laneOf,
  laneSpan,
  orderOf,
  placeOf,
  queueOf,
  readyKey,
  readySpan,
  RUNNING_SPAN,
  SPEC_SPAN,
  statusKey,
  typeOf,
  WAITING_SPAN,
  type Span,
} from './keys.js';
import { unsealRoster } from './roster.js';
import type { Entry, StoreView } from './store.js';

/** A job, or the reason why it cannot be read. */
export interface Walked {
  readonly id: string;
  readonly read: Job | MillraceError;
}

/** An entry of an index, or the place that a running job had. */
interface Place {
  readonly key: string;
  readonly id: string;
}

const PAGE = 500;
const PAGE_BYTES = 1 << 20;
/** How many jobs are read by their ids at once. */
const READS = 32;

/**
 * First the available jobs and those that run, queue by queue, in the order of claiming; then those for later, the
 * first due first; then all others, by their ids, and behind the jobs that they wait for those of flows. A job that runs is walked as it would be after a crash.
 * @param now Epoch milliseconds.
 */
export async function* walk(view: StoreView, now: number): AsyncGenerator<Walked> {
  const running = await runningPlaces(view, now);
  const queues = await firsts(view, ALL_READY_SPAN, queueOf, readySpan);
  for (const queue of new Set([...queues, ...[...running.values()].map(queueOf)])) {
    yield* placed(view, readyPlaces(view, queue, running), running, now);
  }
  yield* placed(view, placesOf(view, DUE_SPAN), running, now);
  yield* others(view, running, now);
  yield* placed(view, placesOf(view, WAITING_SPAN), running, now);
}

/** The places that the jobs which run had, by their ids. */
async function runningPlaces(view: StoreView, now: number): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  for await (const { key, value } of entriesOf(view, RUNNING_SPAN)) {
    const ids = sound(() => unsealRoster(key, value)) ?? [];
    for (const { id, read } of await reads(view, ids)) {
      if (!isJob(read) || !isOrphanOf(read, claimOf(key))) continue;
      if (orphaned(read.status, now).state === 'available') places.set(id, readyKey(read.spec));
    }
  }
  return places;
}

/** The parts that a span's keys name, such as the queues or the lanes: one read for each, however many keys it has. */
async function firsts(
  view: StoreView,
  span: Span,
  nameOf: (key: string) => string,
  spanOf: (name: string) => Span,
): Promise<string[]> {
  const names: string[] = [];
  for (let from = span.from; ;) {
    const [first] = await view.page({ from, to: span.to, limit: 1 });
    if (!first) return names;
    const name = nameOf(first.key);
    names.push(name);
    from = spanOf(name).to;
  }
}

/** The available jobs of a queue and those that run, in the order of claiming: its lanes, merged. */
async function* readyPlaces(
  view: StoreView,
  queue: string,
  running: ReadonlyMap<string, string>,
): AsyncGenerator<Place> {
  // However many keys a type's jobs have, they are read one lane behind the other.
  const spanAt = (key: string): Span => {
    const lane = laneOf(key);
    return lane === typeOf(lane) ? laneSpan(queue, lane) : keyedSpan(queue, typeOf(lane));
  };
  const starts = await firsts(view, readySpan(queue), (key) => key, spanAt);
  const sources = [
    ...starts.map((key) => withoutRunning(placesOf(view, spanAt(key)), running)),
    placesOfRunning(queue, running),
  ];
  const heads: { place: Place; source: AsyncGenerator<Place> }[] = [];
  for (const source of sources) {
    const { value } = await source.next();
    if (value) heads.push({ place: value, source });
  }
  while (heads.length > 0) {
    heads.sort((a, b) => (orderOf(a.place.key) < orderOf(b.place.key) ? -1 : 1));
    // Safe: there is one.
    const [head] = heads as [(typeof heads)[number]];
    yield head.place;
    const { value } = await head.source.next();
    if (value) head.place = value;
    else heads.shift();
  }
}

async function* placesOfRunning(
  queue: string,
  running: ReadonlyMap<string, string>,
): AsyncGenerator<Place, undefined> {
  const places = Array.from(running, ([id, key]) => ({ id, key })).filter(
    ({ key }) => queueOf(key) === queue,
  );
  places.sort((a, b) => (orderOf(a.key) < orderOf(b.key) ? -1 : 1));
  for (const place of places) yield place;
}

/** After a power cut a job that runs may have its old place, too. */
async function* withoutRunning(
  places: AsyncIterable<Place>,
  running: ReadonlyMap<string, string>,
): AsyncGenerator<Place, undefined> {
  for await (const place of places) if (running.get(place.id) !== place.key) yield place;
}

/** The sound entries of an index. */
async function* placesOf(view: StoreView, span: Span): AsyncGenerator<Place, undefined> {
  for await (const { key, value } of entriesOf(view, span)) {
    const id = sound(() => unsealText(key, value));
    if (id !== undefined) yield { key, id };
  }
}

/** The jobs that are where an index says; all others are found among the records. */
async function* placed(
  view: StoreView,
  places: AsyncIterable<Place>,
  running: ReadonlyMap<string, string>,
  now: number,
): AsyncGenerator<Walked> {
  for await (const some of inGroups(places, READS)) {
    const found = await reads(
      view,
      some.map(({ id }) => id),
    );
    for (const [i, { id, read }] of found.entries()) {
      if (read === undefined) yield { id, read: missing(id) };
      if (!isJob(read)) continue;
      const key = some[i]?.key;
      if (running.get(id) === key) yield { id, read: withoutKey(asOrphan(read, now)) };
      else if (!running.has(id) && placeOf(read) === key) yield { id, read };
    }
  }
}

/** The jobs that have not been walked yet. */
async function* others(
  view: StoreView,
  running: ReadonlyMap<string, string>,
  now: number,
): AsyncGenerator<Walked> {
  for await (const specs of inGroups(entriesOf(view, SPEC_SPAN), READS)) {
    const ids = specs.map(({ key }) => key.slice(SPEC_SPAN.from.length));
    const statuses = await statusesOf(view, ids);
    const found = ids.map((id, i): Walked => {
      const status = statuses[i];
      const read = status instanceof MillraceError ? status : readJob(id, specs[i]?.value, status);
      return { id, read: read ?? missing(id) };
    });
    const places = await soundPlaces(view, found);
    for (const { id, read } of found) {
      if (running.has(id)) continue;
      if (!isJob(read)) yield { id, read };
      else if (places.get(placeOf(read) ?? '') !== id) yield { id, read: asOrphan(read, now) };
    }
  }
}

/** What the index says at the places of jobs that wait. */
async function soundPlaces(
  view: StoreView,
  found: readonly Walked[],
): Promise<ReadonlyMap<string, string | undefined>> {
  const keys = found.flatMap(({ read }) => (isJob(read) ? (placeOf(read) ?? []) : []));
  const values = keys.length > 0 ? await view.getMany(keys) : [];
  return new Map(
    keys.map((key, i) => {
      const value = values[i];
      return [key, value && sound(() => unsealText(key, value))];
    }),
  );
}

/** Damage that takes one of them must not take the others, too. */
async function statusesOf(
  view: StoreView,
  ids: readonly string[],
): Promise<(Uint8Array | MillraceError | undefined)[]> {
  try {
    return await view.getMany(ids.map(statusKey));
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return ids.length === 1 ? [thrown] : (await Promise.all(ids.map((id) => statusesOf(view, [id])))).flat();
  }
}

async function reads(view: StoreView, ids: readonly string[]): Promise<{ id: string; read: JobRead }[]> {
  const found = await readJobs(view, ids);
  return ids.map((id, i) => ({ id, read: found[i] }));
}

async function* entriesOf(view: StoreView, { from, to }: Span): AsyncGenerator<Entry, undefined> {
  for (let after: string | undefined; ;) {
    const start = after === undefined ? { from } : { from: after, after: true };
    const page = await view.page({ ...start, to, limit: PAGE, bytes: PAGE_BYTES });
    const last = page.at(-1);
    if (!last) return;
    for (const entry of page) yield entry;
    after = last.key;
  }
}

async function* inGroups<Value>(values: AsyncIterable<Value>, size: number): AsyncGenerator<Value[]> {
  let group: Value[] = [];
  for await (const value of values) {
    group.push(value);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** What an index entry says, if it is sound: the records tell what is not. */
function sound<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof MillraceError) return undefined;
    throw thrown;
  }
}

function asOrphan({ spec, status }: Job, now: number): Job {
  return status.state === 'running' ? { spec, status: orphaned(status, now) } : { spec, status };
}

const withoutKey = ({ spec, status }: Job): Job => ({ spec, status: orphanWithKey(spec, status) });

const isJob = (read: JobRead): read is Job => read !== undefined && !(read instanceof MillraceError);

const missing = (id: string): MillraceError =>
  new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record of job ${id} is missing`);
