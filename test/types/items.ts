/** The items of `enqueueMany()` and `enqueueFlow()` are refused where `enqueue()` would refuse them; the compiler is the test. */
import * as v from 'valibot';
import { expectTypeOf } from 'vitest';
import { defineJobs, inlineJob } from '../../src/index.js';
import type {
  EnqueueItem,
  EnqueueOptions,
  FlowHandles,
  FlowJob,
  JobEngine,
  JobHandle,
  JobHandles,
  Millrace,
} from '../../src/index.js';

interface Mail {
  to: string;
  subject?: string;
}
interface Picture {
  path: string;
  w?: number;
  crop?: { left: number; top?: number };
}
const mail = inlineJob(async (payload: Mail) => payload.to.length);
const res = inlineJob((payload: Picture) => [payload.path]);
const tick = inlineJob(() => 'tock' as const);
const made = inlineJob(({ at }) => at, {
  schema: v.object({
    at: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  }),
});
export const one = defineJobs({ mail });
export const two = defineJobs({ mail, res });
export const three = defineJobs({ mail, res, tick });
export const four = defineJobs({ mail, res, tick, made });
type Engine<Jobs extends typeof one> = Millrace<Jobs, 'default' | 'low'>;

export async function misspeltOfOne(mill: Engine<typeof one>): Promise<void> {
  await mill.enqueueMany([{ name: 'mail', payload: { to: 'a', subject: 'b' }, options: { delay: '5m' } }]);
  // @ts-expect-error: no such field of the payload
  await mill.enqueueMany([{ name: 'mail', payload: { to: 'a', ext: 1 } }]);
  // @ts-expect-error: no such field
  await mill.enqueueMany([{ name: 'mail', payload: { to: 'a' }, option: {} }]);
  // @ts-expect-error: no such option
  await mill.enqueueMany([{ name: 'mail', payload: { to: 'a' }, options: { delai: 1 } }]);
  // @ts-expect-error: no such field of the payload
  await mill.enqueueFlow({ a: { name: 'mail', payload: { to: 'a', ext: 1 } } });
  // @ts-expect-error: no such field
  await mill.enqueueFlow({ a: { name: 'mail', payload: { to: 'a' }, option: {} } });
  // @ts-expect-error: no such field of the payload
  await mill.enqueueStream([{ name: 'mail', payload: { to: 'a', ext: 1 } }]);
}

export async function misspeltOfTwo(mill: Engine<typeof two>): Promise<void> {
  await mill.enqueueMany([
    { name: 'mail', payload: { to: 'a' } },
    // @ts-expect-error: no such field of the payload
    { name: 'res', payload: { path: 'a', width: 1 } },
  ]);
  await mill.enqueueMany([
    // @ts-expect-error: a field of another type's payload
    { name: 'mail', payload: { to: 'a', path: 'b' } },
    { name: 'res', payload: { path: 'a', w: 1 } },
  ]);
  // @ts-expect-error: no such field of the payload
  await mill.enqueueFlow({ a: { name: 'res', payload: { path: 'a', width: 1 } } });
}

export async function misspeltOfThree(mill: Engine<typeof three>): Promise<void> {
  // @ts-expect-error: no such field of the payload
  await mill.enqueueMany([{ name: 'res', payload: { path: 'a', width: 1 } }]);
  // @ts-expect-error: no such field, further inside
  await mill.enqueueMany([{ name: 'res', payload: { path: 'a', crop: { left: 1, right: 2 } } }]);
  // @ts-expect-error: no such field
  await mill.enqueueMany([{ name: 'tick', option: { delay: 5 } }]);
  // @ts-expect-error: no such queue
  await mill.enqueueMany([{ name: 'tick', options: { queue: 'nope' } }]);
  // @ts-expect-error: no job has this name
  await mill.enqueueMany([{ name: 'nope' }]);
  // @ts-expect-error: the payload is missing
  await mill.enqueueMany([{ name: 'mail' }]);
  // @ts-expect-error: it takes no payload
  await mill.enqueueMany([{ name: 'tick', payload: 1 }]);
  // @ts-expect-error: another type's payload
  await mill.enqueueMany([{ name: 'mail', payload: { path: 'a' } }]);
}

export async function wrongFlows(mill: Engine<typeof three>): Promise<void> {
  await mill.enqueueFlow({
    a: { name: 'tick' },
    // @ts-expect-error: no such field
    b: { name: 'mail', payload: { to: 'a' }, parent: ['a'] },
  });
  await mill.enqueueFlow({
    a: { name: 'tick' },
    // @ts-expect-error: no job of the flow has this key
    b: { name: 'mail', payload: { to: 'a' }, parents: ['aa'] },
  });
  await mill.enqueueFlow({
    a: { name: 'tick' },
    // @ts-expect-error: there is no such policy
    b: { name: 'tick', parents: ['a'], onParentFailure: 'cry' },
  });
  // @ts-expect-error: no job has this name
  await mill.enqueueFlow({ a: { name: 'nope' } });
  // @ts-expect-error: the payload is missing
  await mill.enqueueFlow({ a: { name: 'mail' } });
}

export async function results(mill: Engine<typeof four>): Promise<void> {
  const [first, second, third] = await mill.enqueueMany([
    { name: 'mail', payload: { to: 'a' } },
    { name: 'tick', options: { queue: 'low' } },
    { name: 'made', payload: { at: '2026-01-01' } },
  ]);
  expectTypeOf(first).toEqualTypeOf<JobHandle<'mail', number>>();
  expectTypeOf(second).toEqualTypeOf<JobHandle<'tick', 'tock'>>();
  expectTypeOf(third).toEqualTypeOf<JobHandle<'made', Date>>();
  const flow = await mill.enqueueFlow(
    {
      load: { name: 'res', payload: { path: 'a', crop: { left: 1 } } },
      tell: { name: 'mail', payload: { to: 'a' }, parents: ['load'], onParentFailure: 'ignore' },
      both: { name: 'tick', parents: ['load', 'tell'] },
    },
    { id: 'one' },
  );
  expectTypeOf(flow.load).toEqualTypeOf<JobHandle<'res', string[]>>();
  expectTypeOf(flow.tell).toEqualTypeOf<JobHandle<'mail', number>>();
  expectTypeOf<keyof typeof flow>().toEqualTypeOf<'load' | 'tell' | 'both'>();
}

/** Items that were made before. */
export async function prepared(mill: Engine<typeof three>, people: readonly Mail[]): Promise<void> {
  const handles = await mill.enqueueMany(people.map((payload) => ({ name: 'mail' as const, payload })));
  expectTypeOf(handles).toEqualTypeOf<JobHandle<'mail', number>[]>();
  const written = await mill.enqueueMany(
    people.map(({ to }) => ({ name: 'mail', payload: { to } }) as const),
  );
  expectTypeOf(written).toEqualTypeOf<JobHandle<'mail', number>[]>();
  const items: EnqueueItem<typeof three, 'default' | 'low'>[] = [{ name: 'tick' }];
  items.push({ name: 'mail', payload: { to: 'a' } });
  const any = await mill.enqueueMany(items);
  expectTypeOf(any[0]?.name).toEqualTypeOf<'mail' | 'res' | 'tick' | undefined>();
  await mill.enqueueMany([...items, { name: 'tick' }]);
  await mill.enqueueMany([]);
  const item = { name: 'mail', payload: { to: 'a' } } as const;
  const some = await mill.enqueueMany(people.length > 5 ? [item] : [item, { name: 'tick' }]);
  expectTypeOf(some[1]?.name).toExtend<string | undefined>();
  await mill.enqueueMany(people.length > 5 ? [item] : []);
  const options: EnqueueOptions<'low'> = { queue: 'low' };
  await mill.enqueueMany([{ name: 'tick', options }]);
  const flow: Record<string, FlowJob<typeof three, 'default' | 'low'>> = {};
  for (const { to } of people) flow[to] = { name: 'mail', payload: { to }, parents: Object.keys(flow) };
  await mill.enqueueFlow(flow);
  await mill.enqueueFlow(
    Object.fromEntries(people.map(({ to }) => [to, { name: 'mail' as const, payload: { to } }])),
  );
  expectTypeOf<JobHandles<typeof three, readonly [{ name: 'tick' }]>>().toEqualTypeOf<
    [JobHandle<'tick', 'tock'>]
  >();
  expectTypeOf<FlowHandles<typeof three, { a: { name: 'tick' } }>>().toEqualTypeOf<{
    a: JobHandle<'tick', 'tock'>;
  }>();
}

/** Whoever knows no types. */
export async function untyped(engine: JobEngine): Promise<void> {
  await engine.enqueueMany([{ name: 'any', payload: { a: 1 } }, { name: 'other' }]);
  const name: string = 'any';
  await engine.enqueueMany([{ name, payload: 1 }]);
  await engine.enqueueFlow({ a: { name: 'any' }, b: { name, payload: 1, parents: ['a'] } });
}
