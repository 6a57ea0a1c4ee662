/** Native add-ons have crashed when their thread was ended: this one is ended many times. */
import { expect, test } from 'vitest';
import { Millrace, threadJob } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';

test('60 jobs ended in the middle of an image leave the process alive and the engine working', async () => {
  const { options, closing } = await bench();
  const sharpJob = threadJob<typeof import('../fixtures/sharp-forever.js')>(
    new URL('../fixtures/sharp-forever.js', import.meta.url),
    { grace: 0 },
  );
  const mill = closing(
    await Millrace.open({ ...options, jobs: { image: sharpJob }, threads: { count: 2 }, durability: 'os' }),
  );
  const cancels = new Map<string, Promise<unknown>>();
  mill.on('progress', ({ id }) => {
    if (!cancels.has(id)) cancels.set(id, mill.cancel(id));
  });
  for (let i = 0; i < 60; i++) await mill.enqueue('image', { once: false });
  await mill.drain();
  expect(new Set(await Promise.all(cancels.values()))).toEqual(new Set(['cancelled']));
  expect(cancels.size).toBe(60);

  // The last one is not cancelled.
  const survivor = await mill.enqueue('image', { once: true }, { delay: 1, id: 'survivor' });
  cancels.set(survivor.id, Promise.resolve());
  expect(await survivor.result()).toBeGreaterThan(0);
});
