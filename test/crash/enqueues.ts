/** How the workload enqueues jobs: one by one, many together, with keys, and where there is little room. */
import { setTimeout as wait } from 'node:timers/promises';
import { MillraceError, type EnqueueOptions, type JobHandle } from '../../src/index.js';
import { BATCH, BOUNDED, isHeldUp, NAMED, PACED_EXPIRE_MS, type queues } from './catalogue.js';
import { drawJob, drawKey, drawLongDelay, drawNamed, drawOptions, drawWeight, durabilityOf } from './draw.js';
import type { Done, Enqueued, FactOf } from './facts.js';
import type { Work } from './handler.js';
import { operation, type Call, type Operation } from './operation.js';
import type { Target } from './session.js';

const FLOOD = 1_200;
/** A priority above all others. */
const FIRST = 10;
/** So few unique keys that most are held. */
const KEYS = 4;
/** For how long they are held; mostly as long as one may tell whether they are. */
const HELD = ['active', 'active', 'queued', '30ms'] as const;
const ON_CONFLICT = ['return', 'return', 'replace', 'reject'] as const;
const ON_PARENT_FAILURE = ['fail', 'cancel', 'ignore'] as const;
/** So long that several processes have it. */
const THROTTLE_MS = 3_000;

export const ENQUEUES: readonly Operation[] = [
  operation('enqueue by id', 12, ['enqueued'], async ({ session, random, report }) => {
    const { name, id } = drawNamed(random);
    const { heavy, durability: usual } = session.place;
    const options = drawOptions(random, usual, name);
    const durability = durabilityOf(id, usual);
    const work = session.work(id, drawJob(random, name).acts, drawWeight(random, heavy, durability));
    const payload = { ...work, key: options.concurrencyKey };
    await session.engine.enqueue(name, payload, { ...options, durability, id });
    report({ kind: 'enqueued', id, name, token: id, durability });
    session.known.push({ id, name });
  }),
  operation('enqueue many', 2, ['asked', 'enqueued'], enqueueMany),
  operation('enqueue a flow', 2, ['asked', 'enqueued'], enqueueFlow),
  operation('enqueue by key', 4, ['enqueued'], async (call) => {
    const { random } = call;
    const held = random.pick(HELD);
    const key = `${held}-${random.integer(1, KEYS)}`;
    await enqueueKeyed(call, { uniqueKey: { key, while: held, onConflict: random.pick(ON_CONFLICT) } });
  }),
  operation('enqueue again and again', 2.5, ['enqueued', 'debounced'], enqueueDebounced),
  operation('enqueue once in a while', 2.5, ['enqueued'], async (call) => {
    const uniqueKey = `throttle-${call.random.integer(1, 2)} ${THROTTLE_MS}`;
    await enqueueKeyed(call, { uniqueKey, throttle: THROTTLE_MS });
  }),
  operation('enqueue a burst', 1.5, ['enqueued'], async (call) => {
    const tokens = Array.from({ length: call.random.integer(5, 40) }, (_, i) => `${call.token}-${i}`);
    await Promise.all(tokens.map((token) => enqueue({ ...call, token }, { name: 'tiny' })));
  }),
  operation('enqueue too much at once', 4, ['enqueued'], async (call) => {
    const { random, token } = call;
    // Of types that are kept, for these expire.
    const limited = random.pick<Limited>([
      { name: 'paced', priority: FIRST },
      { name: 'tenant', priority: FIRST, concurrencyKey: drawKey(random) },
      { name: 'mail', priority: FIRST, queue: 'metered', expiresIn: PACED_EXPIRE_MS },
    ]);
    const tokens = Array.from({ length: random.integer(2, 8) }, (_, i) => `${token}-${i}`);
    await Promise.all(tokens.map((token) => enqueue({ ...call, token }, limited)));
  }),
  operation('enqueue where there is little room', 4, ['enqueued', 'noRoom'], enqueueIntoBounded),
  operation('enqueue a flood', 0.15, ['enqueued'], flood),
];

/** Jobs of which only so many start in a while. */
interface Limited {
  readonly name: Target['name'];
  readonly priority?: number;
  readonly queue?: keyof typeof queues;
  readonly expiresIn?: number;
  readonly concurrencyKey?: string;
}

/** @param only Its type, where that is not drawn; and with it whatever else is not. */
export async function enqueue(
  { session, random, token, report }: Call<Enqueued>,
  only: Partial<Limited> = {},
): Promise<JobHandle<Target['name'], Done>> {
  const { name, acts } = drawJob(random, only.name);
  const { name: _, ...own } = only;
  const { heavy, durability: usual } = session.place;
  const options = { ...drawOptions(random, usual, name), ...own };
  if (own.expiresIn !== undefined) delete options.deadline;
  const weight = drawWeight(random, heavy, options.durability ?? usual);
  const work = { ...session.work(token, acts, weight), key: options.concurrencyKey };
  const handle = await session.engine.enqueue(name, work, options);
  const { id } = handle;
  report({ kind: 'enqueued', id, name, token, durability: options.durability ?? usual });
  session.known.push({ id, name, isHeldUp: isHeldUp(name, own.queue) });
  return handle;
}

async function enqueueMany({
  session,
  random,
  token,
  report,
}: Call<FactOf<'asked' | 'enqueued'>>): Promise<void> {
  const { heavy, durability: usual } = session.place;
  const items = Array.from({ length: random.integer(2, 12) }, (_, i) => {
    const id = `many-${token}-${i}`;
    const { name, acts } = drawJob(random);
    const options = { ...drawOptions(random, usual, name), id };
    const work = session.work(id, acts, drawWeight(random, heavy, options.durability ?? usual));
    return { name, payload: { ...work, key: options.concurrencyKey }, options };
  });
  await enqueueTogether({ session, report }, items);
  for (const { name, options } of items) session.known.push({ id: options.id, name });
}

async function enqueueTogether(
  { session, report }: Pick<Call<FactOf<'asked' | 'enqueued'>>, 'session' | 'report'>,
  items: readonly {
    readonly name: Target['name'];
    readonly payload: Work;
    readonly options: EnqueueOptions<keyof typeof queues> & { readonly id: string };
  }[],
): Promise<string[]> {
  const together = items.map(({ options: { id } }) => id);
  report({ kind: 'asked', operation: 'enqueue many', together });
  await session.engine.enqueueMany(items);
  for (const { name, options } of items) {
    const { id, durability = session.place.durability } = options;
    report({ kind: 'enqueued', id, name, token: id, durability });
  }
  return together;
}

/** Jobs of a type all of which are handled at once, that have long to wait. @returns their ids. */
export async function enqueueBatch(
  { session, random, token, report }: Call<FactOf<'asked' | 'enqueued'>>,
  count: number,
): Promise<string[]> {
  const { heavy, durability: usual } = session.place;
  const items = Array.from({ length: count }, (_, i) => {
    const id = `batch-${token}-${i}`;
    const { name, acts } = drawJob(random, BATCH);
    const { runAt: _runAt, ...drawn } = drawOptions(random, usual, name);
    const options = { ...drawn, id, delay: drawLongDelay(random) };
    const work = session.work(id, acts, drawWeight(random, heavy, options.durability ?? usual));
    return { name, payload: { ...work, key: options.concurrencyKey }, options };
  });
  return enqueueTogether({ session, report }, items);
}

/** @returns the job that has the key now: a new one, or another. */
async function enqueueKeyed(
  { session, random, token, report }: Call<Enqueued>,
  keyed: Pick<EnqueueOptions, 'uniqueKey' | 'debounce' | 'throttle'>,
): Promise<string> {
  const { engine, place, known } = session;
  const options = { ...drawOptions(random, place.durability, 'work'), ...keyed };
  if (keyed.debounce !== undefined) {
    delete options.delay;
    delete options.runAt;
  }
  const own = session.work(token, drawJob(random, 'work').acts);
  const { id, name } = await engine.enqueue('work', { ...own, key: options.concurrencyKey }, options);
  // Whether that job carries this token is not told.
  report({ kind: 'enqueued', id, name });
  known.push({ id, name });
  return id;
}

/** Each takes the place of the one before. */
async function enqueueDebounced(call: Call<FactOf<'enqueued' | 'debounced'>>): Promise<void> {
  const { random, report } = call;
  const key = `debounce-${random.integer(1, 2)}`;
  for (let left = random.integer(1, 4); left > 0; left--) {
    const debounce = random.integer(60, 200);
    const dueAt = Date.now() + debounce;
    const id = await enqueueKeyed({ ...call, token: `${call.token}-${left}` }, { uniqueKey: key, debounce });
    report({ kind: 'debounced', id, key, dueAt });
    await wait(random.integer(0, 40));
  }
}

/** Whoever finds no room is turned away, or waits. */
async function enqueueIntoBounded(call: Call<FactOf<'enqueued' | 'noRoom'>>): Promise<void> {
  const { session, random, report } = call;
  const queue = random.pick(BOUNDED);
  const tokens = Array.from({ length: random.integer(1, 8) }, (_, i) => `${call.token}-${i}`);
  await Promise.all(
    tokens.map(async (token) => {
      try {
        await enqueue({ ...call, token }, { name: 'tiny', queue });
      } catch (thrown) {
        if (!(thrown instanceof MillraceError) || thrown.code !== 'MILLRACE_QUEUE_FULL') throw thrown;
        report({ kind: 'noRoom', queue, token });
      }
      await session.size(queue);
    }),
  );
}

/** Of types whose jobs are kept, so that what became of parents is there to be seen. */
async function enqueueFlow({
  session,
  random,
  token,
  report,
}: Call<FactOf<'asked' | 'enqueued'>>): Promise<void> {
  const { durability: usual } = session.place;
  const items = Array.from({ length: random.integer(2, 4) }, (_, i) => {
    const id = `flow-${token}-${i}`;
    const { name, acts } = drawJob(random, random.pick(NAMED));
    const options = { ...drawOptions(random, usual, name), id };
    return {
      name,
      options,
      payload: { ...session.work(id, acts), key: options.concurrencyKey },
      parents: Array.from({ length: i }, (_parent, at) => `j${at}`).filter(() => random.chance(0.6)),
      onParentFailure: random.pick(ON_PARENT_FAILURE),
    };
  });
  const together = items.map(({ options: { id } }) => id);
  report({ kind: 'asked', operation: 'enqueue a flow', together });
  await session.engine.enqueueFlow(Object.fromEntries(items.map((job, i) => [`j${i}`, job])));
  for (const { name, options } of items) {
    const { id, durability = usual } = options;
    report({ kind: 'enqueued', id, name, token: id, durability, mayExpire: true });
    session.known.push({ id, name });
  }
}

/** More jobs of a type than a window holds, so that the rest must be found on disk. */
async function flood({ session, random, token, report }: Call<Enqueued>): Promise<void> {
  const isKeyed = random.chance(0.5);
  const items = Array.from({ length: FLOOD }, (_, i) => {
    const { name, acts } = drawJob(random, 'tiny');
    return {
      name,
      payload: session.work(`${token}-${i}`, acts),
      options: { priority: random.integer(-5, 5), ...(isKeyed && { concurrencyKey: drawKey(random) }) },
    };
  });
  const handles = await session.engine.enqueueMany(items);
  for (const [i, { id, name }] of handles.entries()) {
    const { durability } = session.place;
    report({ kind: 'enqueued', id, name, token: `${token}-${i}`, durability });
  }
}
