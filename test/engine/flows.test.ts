/** Flows on a real journal, in real threads. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { defineJobs, inlineJob, Millrace, UnrecoverableError } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';
import { Recorder } from '../fixtures/recorder.js';
import { scriptedInline, scriptedThread } from '../fixtures/scripted-jobs.js';

const order = new Recorder<string>();
const jobs = defineJobs({
  note: inlineJob((label: string) => {
    order.push(label);
    return label.length;
  }),
  fail: inlineJob((label: string) => {
    order.push(label);
    throw new UnrecoverableError(`${label} cannot be done`);
  }),
  tick: inlineJob(() => 'tock'),
  thread: scriptedThread({ maxAttempts: 2, backoff: { type: 'exponential', delay: 1 } }),
  inline: scriptedInline(),
});

async function open(more: object = {}) {
  order.all.length = 0;
  const { options, closing, directory } = await bench();
  const all = { ...options, jobs, ...more };
  return { options: all, closing, directory, mill: closing(await Millrace.open(all)) };
}

test('a chain, a fan-out and a fan-in run in the order of their parents, with typed handles', async () => {
  const { mill } = await open();
  const flow = await mill.enqueueFlow({
    last: { name: 'note', payload: 'last', parents: ['b', 'c'] },
    a: { name: 'note', payload: 'a' },
    b: { name: 'thread', payload: { do: 'return', value: 1 }, parents: ['a'] },
    c: { name: 'note', payload: 'c', parents: ['a'] },
  });
  expect(await flow.last.snapshot()).toMatchObject({
    state: 'waiting',
    parents: { b: flow.b.id, c: flow.c.id },
  });
  const length: number = await flow.last.result();
  expect(length).toBe(4);
  expect(order.all).toEqual(['a', 'c', 'last']);
  expect(await mill.counts()).toMatchObject({ completed: 4, waiting: 0 });
});

test.each([
  ['fail', 'failed'],
  ['cancel', 'cancelled'],
  ['ignore', 'completed'],
] as const)('onParentFailure %s: the child is %s', async (onParentFailure, state) => {
  const { mill } = await open();
  const { child, grandchild } = await mill.enqueueFlow({
    parent: { name: 'fail', payload: 'parent' },
    child: { name: 'note', payload: 'child', parents: ['parent'], onParentFailure },
    grandchild: { name: 'note', payload: 'grandchild', parents: ['child'], onParentFailure: 'ignore' },
  });
  expect(await grandchild.result()).toBe(10);
  expect(await child.snapshot()).toMatchObject({ state, attempt: state === 'completed' ? 1 : 0 });
  if (state === 'failed')
    await expect(child.result()).rejects.toMatchObject({
      code: 'MILLRACE_JOB_FAILED',
      cause: {
        code: 'MILLRACE_PARENT_FAILED',
        message: expect.stringContaining('parent cannot be done'),
        cause: { code: 'MILLRACE_UNRECOVERABLE' },
      },
    });
});

test('a parent that is tried again keeps its child waiting until it is done', async () => {
  const { mill } = await open();
  const scripts = [{ do: 'throw' }, { do: 'return' }] as const;
  const { child } = await mill.enqueueFlow({
    parent: { name: 'thread', payload: { do: 'inTurn', scripts } },
    child: { name: 'note', payload: 'child', parents: ['parent'] },
  });
  expect(await child.result()).toBe(5);
});

test('all of a flow that failed is retried at once, and in its order', async () => {
  const { mill } = await open();
  const scripts = [{ do: 'throwUnrecoverable' }, { do: 'return', value: 3 }] as const;
  const { parent, child, off } = await mill.enqueueFlow({
    parent: { name: 'thread', payload: { do: 'inTurn', scripts } },
    child: { name: 'inline', payload: { do: 'parentResults' }, parents: ['parent'] },
    off: { name: 'note', payload: 'off', parents: ['child'], onParentFailure: 'cancel' },
  });
  await expect(off.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_CANCELLED',
    message: expect.stringContaining(child.id),
  });
  // Its parent has not completed, so it fares as it did.
  expect(await mill.retry(child.id)).toBe('waiting');
  await expect(child.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_PARENT_FAILED' } });
  expect(await mill.retry({ state: ['failed', 'cancelled'] })).toBe(3);
  expect(await off.result()).toBe(3);
  expect(await child.result()).toEqual({ parent: 3 });
  expect(await parent.snapshot()).toMatchObject({ state: 'completed', retries: 1 });
  expect(await mill.counts()).toMatchObject({ completed: 3, waiting: 0 });
});

test('two that are retried together wait for each of their parents, however often one of them is looked at', async () => {
  const { mill } = await open();
  const scripts = [{ do: 'throwUnrecoverable' }, { do: 'untilAborted', ends: 'return' }] as const;
  const { again, left, right } = await mill.enqueueFlow({
    done: { name: 'note', payload: 'done' },
    again: { name: 'inline', payload: { do: 'inTurn', scripts } },
    left: { name: 'note', payload: 'left', parents: ['done', 'again'] },
    right: { name: 'note', payload: 'right', parents: ['done', 'again'] },
  });
  await mill.drain();
  const started = new Recorder<string>();
  mill.on('started', ({ id }) => started.push(id));
  expect(await mill.retry({ state: 'failed' })).toBe(3);
  await started.until((id) => id === again.id);
  // Behind what was told of `done`.
  await (await mill.enqueueFlow({ a: { name: 'tick' }, b: { name: 'tick', parents: ['a'] } })).b.result();
  expect([await left.snapshot(), await right.snapshot()]).toMatchObject([
    { state: 'waiting' },
    { state: 'waiting' },
  ]);
  await again.cancel();
});

test('a child does not take for its own what a job of its id waited for before', async () => {
  const { mill } = await open();
  const hour = { delay: '1h' } as const;
  const { parent } = await mill.enqueueFlow({
    parent: { name: 'note', payload: 'parent', options: hour },
    child: { name: 'note', payload: 'old', options: { id: 'child' }, parents: ['parent'] },
  });
  expect(await mill.remove('child')).toBe(true);
  const { other, child } = await mill.enqueueFlow({
    other: { name: 'note', payload: 'other', options: hour },
    child: { name: 'note', payload: 'new', options: { id: 'child' }, parents: ['other'] },
  });
  await mill.promote(parent.id);
  await parent.result();
  await mill.drain();
  expect(await child.snapshot()).toMatchObject({ state: 'waiting' });
  await mill.promote(other.id);
  await child.result();
  expect(order.all).toEqual(['parent', 'other', 'new']);
});

test('a parent of many that is removed before it has ended, and whose id another job takes', async () => {
  const { mill } = await open();
  const keys = Array.from({ length: 1_200 }, (_, i) => `child-${i}`);
  await mill.enqueueFlow({
    ...Object.fromEntries(
      keys.map((key) => [
        key,
        { name: 'tick' as const, parents: ['parent'], onParentFailure: 'cancel' as const },
      ]),
    ),
    parent: { name: 'note', payload: 'parent', options: { id: 'parent', delay: '1h' } },
  });
  await mill.remove('parent');
  await mill.enqueue('note', 'another', { id: 'parent', delay: '1h' });
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ waiting: 0, cancelled: keys.length });
});

const later = { options: { delay: '1h' } } as const;

test('a result that others may ask for is not removed before they have ended', async () => {
  const { mill } = await open();
  const { done, wrong, side, child } = await mill.enqueueFlow({
    done: { name: 'note', payload: 'done' },
    wrong: { name: 'fail', payload: 'wrong' },
    side: { name: 'note', payload: 'side' },
    child: { name: 'thread', payload: { do: 'parentResults' }, parents: ['done'], ...later },
    other: { name: 'note', payload: 'other', parents: ['wrong'] },
  });
  await mill.drain();
  await expect(mill.remove(done.id)).rejects.toMatchObject({
    code: 'MILLRACE_JOB_AWAITED',
    message: expect.stringContaining(done.id),
  });
  expect(await mill.remove({ name: 'note', state: 'completed' })).toBe(1);
  expect(await mill.job(side.id)).toBeUndefined();
  // It has no result, and who waited for it was told.
  expect(await mill.remove(wrong.id)).toBe(true);
  await mill.promote(child.id);
  expect(await child.result()).toEqual({ done: 4 });
  expect(await mill.remove(done.id)).toBe(true);
});

test('with all that ask for it a result is removed, too', async () => {
  const { mill } = await open();
  await mill.enqueueFlow({
    first: { name: 'note', payload: 'first' },
    second: { name: 'note', payload: 'second', parents: ['first'] },
    third: { name: 'note', payload: 'third', parents: ['second'], ...later },
  });
  await mill.drain();
  expect(await mill.remove({})).toBe(3);
  expect(await mill.counts()).toMatchObject({ completed: 0, waiting: 0, scheduled: 0 });
});

test.each([
  [
    'fail',
    { cause: { code: 'MILLRACE_JOB_NOT_FOUND', message: expect.stringContaining('"gone"') } },
    'failed',
  ],
  ['ignore', { kept: 4 }, 'completed'],
] as const)('a result that is not there any more (%s)', async (onParentFailure, told, state) => {
  const { mill, options, closing, directory } = await open();
  const { gone, end } = await mill.enqueueFlow({
    gone: { name: 'note', payload: 'gone' },
    kept: { name: 'note', payload: 'kept' },
    end: {
      name: 'inline',
      payload: { do: 'parentResults' },
      parents: ['gone', 'kept'],
      onParentFailure,
      options: { delay: '1h', maxAttempts: 1 },
    },
  });
  await mill.drain();
  const lines: string[] = [];
  for await (const line of mill.export())
    if (!line.includes(`"id":"${gone.id}"`)) lines.push(line.replace('"jobs":3', '"jobs":2'));
  const copy = closing(await Millrace.open({ ...options, directory: `${directory}/copy` }));
  await copy.import(lines);
  // Another job of its id is another job.
  await copy.enqueue('note', 'another', { id: gone.id });
  await copy.promote(end.id);
  const result = copy.handle('inline', end.id).result();
  if (state === 'completed') expect(await result).toEqual(told);
  else await expect(result).rejects.toMatchObject(told);
  expect(await copy.job(end.id)).toMatchObject({ state });
});

test('what failed and is retried as soon as that is told holds nobody up for ever', async () => {
  const { mill } = await open();
  mill.on('failed', ({ id }) => void mill.retry(id));
  const scripts = [{ do: 'throwUnrecoverable' }, { do: 'return', value: 1 }] as const;
  const { child } = await mill.enqueueFlow({
    parent: { name: 'inline', payload: { do: 'inTurn', scripts } },
    child: { name: 'note', payload: 'child', parents: ['parent'] },
  });
  await mill.drain();
  expect(await child.snapshot()).toMatchObject({ state: 'completed' });
});

test('a child that waits can be cancelled, and its own children hear of that', async () => {
  const { mill } = await open();
  const { child, grandchild, parent } = await mill.enqueueFlow({
    parent: { name: 'note', payload: 'parent', options: { delay: '1h' } },
    child: { name: 'note', payload: 'child', parents: ['parent'] },
    grandchild: { name: 'note', payload: 'grandchild', parents: ['child'] },
  });
  expect(await child.cancel()).toBe('cancelled');
  await expect(grandchild.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_PARENT_FAILED' } });
  expect(await parent.snapshot()).toMatchObject({ state: 'scheduled' });
  expect(await mill.counts()).toMatchObject({ waiting: 0, cancelled: 1, failed: 1, scheduled: 1 });
});

test('a child with a time of its own waits for that, too', async () => {
  const { mill } = await open();
  const { child } = await mill.enqueueFlow({
    parent: { name: 'note', payload: 'parent' },
    child: { name: 'note', payload: 'child', parents: ['parent'], options: { delay: '1h' } },
  });
  expect((await child.explain()).reasons.map(({ reason }) => reason)).toContain('scheduled');
  await mill.drain();
  expect(await child.snapshot()).toMatchObject({ state: 'scheduled', runAt: expect.any(Number) });
});

test.each(['thread', 'inline'] as const)('a %s job reads what its parents came to', async (name) => {
  const { mill } = await open();
  const value = { list: [1, 2n], bytes: new Uint8Array([7, 8]) };
  const { end, alone } = await mill.enqueueFlow({
    a: { name: 'note', payload: 'three' },
    b: { name: 'thread', payload: { do: 'return', value } },
    wrong: { name: 'fail', payload: 'wrong' },
    end: {
      name,
      payload: { do: 'parentResults' },
      parents: ['a', 'b', 'wrong'],
      onParentFailure: 'ignore',
    },
    alone: { name, payload: { do: 'parentResults' } },
  });
  expect(await end.result()).toEqual({ a: 5, b: value });
  expect(await alone.result()).toEqual({});
});

test('two hundred and fifty results, after a restart', async () => {
  const { mill, options, closing } = await open();
  const keys = Array.from({ length: 250 }, (_, i) => `leaf-${i}`);
  const { end } = await mill.enqueueFlow({
    ...Object.fromEntries(keys.map((key) => [key, { name: 'note' as const, payload: key }])),
    later: { name: 'note', payload: 'later', options: { delay: 500 } },
    end: { name: 'thread', payload: { do: 'parentResults' }, parents: [...keys, 'later'] },
  });
  await mill.close();
  const again = closing(await Millrace.open(options));
  const results = Object.fromEntries([...keys, 'later'].map((key) => [key, key.length]));
  expect(await again.handle('thread', end.id).result()).toEqual(results);
});

test('drain() waits for all of a flow', async () => {
  const { mill } = await open();
  const chain = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `j${i}`,
      { name: 'note' as const, payload: `j${i}`, parents: i > 0 ? [`j${i - 1}`] : [] },
    ]),
  );
  await mill.enqueueFlow(chain);
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 30 });
  expect(order.all).toEqual(Object.keys(chain));
});

test('ten thousand children of one parent, and one child of them all', async () => {
  const { mill } = await open();
  const leaves = Array.from({ length: 10_000 }, (_, i) => `leaf-${i}`);
  const flow = {
    ...Object.fromEntries(leaves.map((key) => [key, { name: 'tick' as const, parents: ['root'] }])),
    root: { name: 'note' as const, payload: 'root' },
    end: { name: 'note' as const, payload: 'end', parents: leaves },
  };
  const { end } = await mill.enqueueFlow(flow);
  expect(await mill.counts()).toMatchObject({ waiting: 10_001 });
  await end.result();
  expect(order.all).toEqual(['root', 'end']);
  expect(await mill.counts()).toMatchObject({ completed: 10_002, waiting: 0 });
}, 60_000);

test('with an id a flow can be asked for again, and is there once', async () => {
  const { mill, options, closing } = await open();
  const flow = {
    a: { name: 'note', payload: 'a' },
    b: { name: 'note', payload: 'b', parents: ['a'], options: { id: 'own' } },
  } as const;
  const [first, second] = await Promise.all([
    mill.enqueueFlow(flow, { id: 'order 7' }),
    mill.enqueueFlow(flow, { id: 'order 7' }),
  ]);
  expect([first.a.id, first.b.id]).toEqual(['order 7/a', 'own']);
  expect([second.a.id, second.b.id]).toEqual(['order 7/a', 'own']);
  await first.b.result();
  await mill.close();
  const again = closing(await Millrace.open(options));
  await (await again.enqueueFlow(flow, { id: 'order 7' })).b.result();
  expect(order.all).toEqual(['a', 'b']);
  await expect(again.enqueueFlow({ a: flow.a, c: flow.a }, { id: 'order 7' })).rejects.toMatchObject({
    code: 'MILLRACE_ID_CONFLICT',
    message: expect.stringContaining('"order 7/a"'),
  });
  expect(await again.counts()).toMatchObject({ completed: 2, available: 0 });
});

test('a part of a flow, or one with other parents, is not the same flow', async () => {
  const { mill } = await open();
  const a = { name: 'note', payload: 'a' } as const;
  const b = { name: 'note', payload: 'b', parents: ['a'] } as const;
  const c = { name: 'note', payload: 'c', parents: ['b'], onParentFailure: 'cancel' } as const;
  const flow = await mill.enqueueFlow({ a, b, c }, { id: 'f' });
  const ask = (other: object): Promise<unknown> => mill.enqueueFlow(other as never, { id: 'f' });
  for (const [other, id] of [
    [{ a, b: a, c: a }, 'f/a'],
    [{ a, b }, 'f/b'],
    [{ a, b: { ...b, name: 'fail' }, c }, 'f/b'],
    [{ a, b, c: { ...c, parents: ['a', 'b'] } }, 'f/c'],
    [{ a, b, c, d: a }, 'f/a'],
  ] as const)
    await expect(ask(other)).rejects.toMatchObject({
      code: 'MILLRACE_ID_CONFLICT',
      message: expect.stringContaining(`"${id}"`),
    });
  expect(await ask({ c: { ...c, payload: 'other' }, b, a })).toMatchObject({ c: { id: flow.c.id } });
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 3 });
});

test('what ended is kept until all of its flow has ended, whatever its retention', async () => {
  const short = { note: inlineJob(() => 1, { retention: { completed: 0 } }), late: inlineJob(() => 2) };
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: short }));
  const removed = async (id: string): Promise<boolean> => (await mill.job(id)) === undefined;
  const alone = await mill.enqueue('note', undefined);
  const { a } = await mill.enqueueFlow({
    a: { name: 'note' },
    b: { name: 'late', parents: ['a'], options: { delay: '1h' } },
  });
  await a.result();
  // By then the pruner has looked at both.
  await expect.poll(() => removed(alone.id), { timeout: 20_000 }).toBe(true);
  expect(await a.snapshot()).toMatchObject({ state: 'completed', result: 1 });
});

test('a flow goes on where it was after a restart', async () => {
  const { mill, options, closing } = await open();
  const { parent, child } = await mill.enqueueFlow({
    parent: { name: 'note', payload: 'parent', options: { delay: 400 } },
    child: { name: 'thread', payload: { do: 'return', value: 7 }, parents: ['parent'] },
  });
  await mill.close();
  const again = closing(await Millrace.open(options));
  expect(await again.counts()).toMatchObject({ waiting: 1, scheduled: 1 });
  expect(await again.handle('thread', child.id).result()).toBe(7);
  expect(await again.job(parent.id)).toMatchObject({ state: 'completed' });
});

test('a journal with a flow half way is sound, exported and imported', async () => {
  const { mill, options, closing, directory } = await open();
  const { end } = await mill.enqueueFlow({
    done: { name: 'note', payload: 'done' },
    wrong: { name: 'fail', payload: 'wrong' },
    later: { name: 'note', payload: 'later', options: { delay: 300 } },
    end: {
      name: 'note',
      payload: 'end',
      parents: ['later', 'done', 'wrong'],
      onParentFailure: 'ignore',
    },
  });
  await mill.drain();
  const lines: string[] = [];
  for await (const line of mill.export()) lines.push(line);
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({
    damage: [],
    sound: true,
    jobs: { waiting: 1 },
  });
  const copy = closing(await Millrace.open({ ...options, directory: `${directory}/copy` }));
  expect(await copy.import(lines)).toEqual({ imported: 4, skipped: 0 });
  expect(await copy.handle('note', end.id).result()).toBe(3);
  await copy.close();
  expect(await Millrace.verify(`${directory}/copy`)).toMatchObject({ sound: true });
});

const a = { name: 'note', payload: 'a' };
test.each<[given: unknown, says: string, code?: string]>([
  [{ a: { name: 'work', options: { uniqueKey: 'k' } } }, 'flow.a.options.uniqueKey'],
  [undefined, '`flow`'],
  [[a], '`flow`'],
  [{}, '1 to 20000 jobs'],
  [{ 'a b': a }, 'letters, digits'],
  [Object.fromEntries([['__proto__', a]]), '"__proto__"'],
  [{ a: 7 }, '`flow.a`'],
  [{ a: { ...a, options: new Map([['id', 'x']]) } }, '`flow.a.options`'],
  [{ a: { ...a, parent: ['b'] } }, '`flow.a.parent`'],
  [{ a: { ...a, parents: 'b' } }, '`flow.a.parents`'],
  [{ a: { ...a, parents: ['b'] } }, 'keys of the same flow'],
  [{ a: { ...a, parents: ['toString'] } }, 'keys of the same flow'],
  [{ a, b: { ...a, parents: ['a', 'a'] } }, 'each key once'],
  [{ a: { ...a, onParentFailure: 'panic' } }, "'fail' or 'cancel' or 'ignore'"],
  [{ a: { ...a, parents: ['a'] } }, '"a" waits for "a"'],
  [
    { a, b: { ...a, parents: ['a', 'd'] }, c: { ...a, parents: ['b'] }, d: { ...a, parents: ['c'] } },
    '"b" waits for "d" waits for "c" waits for "b"',
  ],
  [
    Object.fromEntries(
      Array.from({ length: 5_000 }, (_, i) => [`j${i}`, { ...a, parents: [`j${(i + 1) % 5_000}`] }]),
    ),
    '4990 more waits for "j0"',
  ],
  [{ a: { ...a, parents: Array.from({ length: 1_000_001 }, () => 'a') } }, 'at most 1000000 parents in all'],
  [{ a, b: { name: 'nope' } }, 'flow.b: ', 'MILLRACE_JOB_UNKNOWN'],
  [{ a, b: { ...a, payload: () => {} } }, 'flow.b: ', 'MILLRACE_PAYLOAD_INVALID'],
  [
    { a: { ...a, options: { id: 'x' } }, b: { ...a, options: { id: 'x' } } },
    'two have "x"',
    'MILLRACE_ID_CONFLICT',
  ],
])('refused: %j', async (given, says, code = 'MILLRACE_OPTION_INVALID') => {
  const { mill } = await open();
  await expect(mill.enqueueFlow(given as never)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(says),
  });
  expect(Object.values(await mill.counts()).every((count) => count === 0)).toBe(true);
});

test('a misspelt id of a flow is refused', async () => {
  const { mill } = await open();
  await expect(
    mill.enqueueFlow({ a: { name: 'note', payload: 'a' } }, { idd: 'x' } as never),
  ).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('`idd`'),
  });
});

test('what a flow says of itself is checked by the compiler', () => {
  const check = (mill: Millrace<typeof jobs, 'default'>): unknown[] => [
    // @ts-expect-error no such job type
    mill.enqueueFlow({ a: { name: 'nope' } }),
    // @ts-expect-error a payload of another type
    mill.enqueueFlow({ a: { name: 'note', payload: 7 } }),
    mill.enqueueFlow({ a: { name: 'tick' }, b: { name: 'note', payload: 'b', parents: ['a'] } }),
  ];
  expect(check).toBeTypeOf('function');
});

test('a repair makes a flow whole again whose links were damaged', async () => {
  const { mill, options, closing } = await open();
  const { end } = await mill.enqueueFlow({
    done: { name: 'note', payload: 'done' },
    later: { name: 'note', payload: 'later', options: { delay: '1s' } },
    end: { name: 'note', payload: 'end', parents: ['later', 'done'] },
  });
  await mill.drain();
  await mill.close();
  // Whom `end` waits for, and for how many.
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  for await (const key of level.keys()) if (/^[ev]!/.test(key)) await level.put(key, Uint8Array.of(1));
  await level.close();
  expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, lostCount: 0 });
  expect(await Millrace.verify(options.directory)).toMatchObject({ damage: [], sound: true });
  const again = closing(await Millrace.open(options));
  expect(await again.handle('note', end.id).result()).toBe(3);
  expect(order.all).toEqual(['done', 'later', 'end']);
});
