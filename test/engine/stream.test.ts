/** As many jobs as an iterable gives: in chunks, each all or none, and with an honest count where it ends early. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, StreamError } from '../../src/index.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { schemaThat } from '../fixtures/schemas.js';

const jobs = { echo: inlineJob((payload: number) => payload), wait: inlineJob(() => undefined) };

async function open() {
  const { options, closing } = await bench();
  return closing(await Millrace.open({ ...options, jobs }));
}

const later = { delay: '1h' } as const;

function* numbers(count: number) {
  for (let i = 0; i < count; i++) yield { name: 'echo' as const, payload: i };
}

test('all of an iterable, in its order, and only so many at once in memory', async () => {
  const mill = await open();
  const started: string[] = [];
  let enqueued = 0;
  let mostAhead = 0;
  mill.on('enqueued', () => enqueued++);
  mill.on('completed', ({ result }) => started.push(String(result)));
  async function* items() {
    for (let i = 0; i < 3_500; i++) {
      if (i % 100 === 0) await turn();
      mostAhead = Math.max(mostAhead, i - enqueued);
      yield { name: 'echo' as const, payload: i };
    }
  }
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 3_500 });
  await mill.drain();
  expect(started).toEqual(Array.from({ length: 3_500 }, (_, i) => String(i)));
  expect(mostAhead).toBeLessThanOrEqual(1_000);
});

test('twenty thousand of a generator that never awaits leave the event loop its turns', async () => {
  const mill = await open();
  let turns = 0;
  let counting = setImmediate(function count() {
    turns++;
    counting = setImmediate(count);
  });
  function* items() {
    for (let i = 0; i < 20_000; i++) yield { name: 'wait' as const, options: later };
  }
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 20_000 });
  clearImmediate(counting);
  expect(turns).toBeGreaterThan(20);
  expect(await mill.counts()).toMatchObject({ scheduled: 20_000 });
});

test('where an item is refused, the chunks before it are there and its own is not', async () => {
  const mill = await open();
  function* items() {
    yield* numbers(2_500);
    yield { name: 'echo', payload: () => {} } as never;
    yield* numbers(10);
  }
  const error: unknown = await mill.enqueueStream(items()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StreamError);
  expect(error).toMatchObject({
    code: 'MILLRACE_STREAM_FAILED',
    enqueued: 2_000,
    message: expect.stringMatching(/^items\[2500\]: .*2000 jobs were enqueued before that$/),
    cause: { code: 'MILLRACE_PAYLOAD_INVALID' },
  });
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 2_000 });
});

test('where the iterable throws, it is told so, with what was enqueued', async () => {
  const mill = await open();
  let isLetGo = false;
  function* items() {
    try {
      yield* numbers(1_001);
      throw new Error('The file is cut off');
    } finally {
      isLetGo = true;
    }
  }
  await expect(mill.enqueueStream(items())).rejects.toMatchObject({
    enqueued: 1_000,
    cause: { message: 'The file is cut off' },
  });
  expect(isLetGo).toBe(true);
});

test('a signal ends it, and the iterable is let go', async () => {
  const mill = await open();
  const abort = new AbortController();
  let isLetGo = false;
  function* items() {
    try {
      yield* numbers(1_500);
      abort.abort(new Error('enough'));
      yield* numbers(1_500);
    } finally {
      isLetGo = true;
    }
  }
  await expect(mill.enqueueStream(items(), { signal: abort.signal })).rejects.toMatchObject({
    enqueued: 1_000,
    cause: { message: 'enough' },
  });
  expect(isLetGo).toBe(true);
});

test('an engine that closes meanwhile says how many are in the journal', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  async function* items() {
    for (let i = 0; ; i++) {
      if (i === 2_500) await mill.close();
      yield { name: 'wait' as const, options: later };
    }
  }
  await expect(mill.enqueueStream(items())).rejects.toMatchObject({
    enqueued: 2_000,
    cause: { code: 'MILLRACE_CLOSED' },
  });
  await mill.close();
  const again = closing(await Millrace.open({ ...options, jobs }));
  expect(await again.counts()).toMatchObject({ scheduled: 2_000 });
});

/** Gives some, and then nothing more. @param onStuck Called then. */
async function* stuck(count: number, onStuck = () => {}) {
  yield* numbers(count);
  onStuck();
  await new Promise(() => {});
}

test('a signal ends it also while the iterable waits for its source', async () => {
  const mill = await open();
  const abort = new AbortController();
  const enqueued = mill.enqueueStream(stuck(1_005), { signal: abort.signal });
  while ((await mill.counts()).completed < 1_000) await turn();
  abort.abort(new Error('enough'));
  await expect(enqueued).rejects.toMatchObject({ enqueued: 1_000, cause: { message: 'enough' } });
  await expect(mill.enqueueStream(stuck(5), { signal: abort.signal })).rejects.toMatchObject({ enqueued: 0 });
});

test('the close of the engine ends it, whatever the iterable or a schema waits for', async () => {
  const { options, closing } = await bench();
  const never = schemaThat<number>(() => new Promise(() => {}));
  const mill = closing(
    await Millrace.open({ ...options, jobs: { ...jobs, unsure: inlineJob(() => {}, { schema: never }) } }),
  );
  const ends = [
    mill.enqueueStream(stuck(5)),
    mill.enqueueStream([{ name: 'echo', payload: 1 } as const, { name: 'unsure', payload: 1 } as const]),
  ].map((end) => expect(end).rejects.toMatchObject({ enqueued: 0, cause: { code: 'MILLRACE_CLOSED' } }));
  await turn();
  await mill.close();
  await Promise.all(ends);
});

test('those of a slow source are in the journal a second later', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const abort = new AbortController();
  const completed = record(mill, 'completed');
  const waits = deferred();
  const enqueued = mill.enqueueStream(stuck(5, waits.resolve), { signal: abort.signal });
  await waits.promise;
  await clock.armed(1_000);
  await clock.advance(1_000);
  await completed.reached(5);
  abort.abort();
  await expect(enqueued).rejects.toMatchObject({ enqueued: 5 });
});

test('an item is read when it is given, so that its object can be used again', async () => {
  const mill = await open();
  const results: number[] = [];
  mill.on('completed', ({ result }) => results.push(Number(result)));
  function* items() {
    const item = { name: 'echo' as const, payload: 0 };
    for (; item.payload < 5; item.payload++) yield item;
  }
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 5 });
  await mill.drain();
  expect(results).toEqual([0, 1, 2, 3, 4]);
});

test('of large ones fewer are in memory at once', async () => {
  const { options, closing } = await bench();
  const size = 60_000;
  const bytes = inlineJob((payload: string) => payload.length);
  const mill = closing(await Millrace.open({ ...options, jobs: { bytes } }));
  let enqueued = 0;
  let mostAhead = 0;
  mill.on('enqueued', () => enqueued++);
  function* items() {
    for (let i = 0; i < 300; i++) {
      mostAhead = Math.max(mostAhead, i - enqueued);
      yield { name: 'bytes' as const, payload: 'x'.repeat(size) };
    }
  }
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 300 });
  expect(mostAhead * size).toBeLessThan(5 << 20);
});

test.each([
  ['a misspelt signal', { sginal: new AbortController().signal }, '`sginal`'],
  ['what is no signal', { signal: 5 }, 'an AbortSignal'],
  ['no options', new AbortController().signal, 'a plain object'],
])('refused: %s', async (_what, given, says) => {
  const mill = await open();
  const refusal = { code: 'MILLRACE_OPTION_INVALID', message: expect.stringContaining(says) };
  await expect(mill.enqueueStream(numbers(1), given as never)).rejects.toMatchObject(refusal);
  const job = await mill.enqueue('wait', undefined, later);
  await expect(job.result(given as never)).rejects.toMatchObject(refusal);
  expect(await mill.counts()).toMatchObject({ available: 0, completed: 0, scheduled: 1 });
});

test('ids make it one that can be given again', async () => {
  const mill = await open();
  function* items() {
    for (let i = 0; i < 1_200; i++) yield { name: 'echo' as const, payload: i, options: { id: `row-${i}` } };
  }
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 1_200 });
  expect(await mill.enqueueStream(items())).toEqual({ enqueued: 1_200 });
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 1_200 });
});

test('what is no iterable of jobs is refused', async () => {
  const mill = await open();
  for (const wrong of [undefined, 7, 'jobs', {}])
    await expect(mill.enqueueStream(wrong as never)).rejects.toMatchObject({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringContaining('`items`'),
    });
  await expect(mill.enqueueStream([7] as never)).rejects.toMatchObject({
    enqueued: 0,
    cause: { code: 'MILLRACE_OPTION_INVALID', message: expect.stringContaining('items[0]') },
  });
});
