/**
 * The process is killed at every write of a job that makes checkpoints and enqueues others, before the disk has it and
 * after: its follow-ups come once, and no checkpoint that was acknowledged is lost.
 */
import { expect, test } from 'vitest';
import { inlineJob } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { KillableStore, type Kill } from '../fixtures/killable-store.js';

const STEPS = 3;

/** What handlers of all processes have seen. */
class Story {
  acknowledged = 0;
  readonly resumedFrom: number[] = [];
  /** Attempts that were to resume from less than was acknowledged. */
  lost = 0;

  get jobs() {
    const parent = inlineJob(async (_nothing: undefined, job) => {
      const resumeFrom = (job.resumeFrom as number | undefined) ?? 0;
      this.resumedFrom.push(resumeFrom);
      if (resumeFrom < this.acknowledged) this.lost++;
      for (let step = resumeFrom + 1; step <= STEPS; step++) {
        await job.checkpoint(step);
        this.acknowledged = step;
      }
      await job.enqueue('child', 'plain');
      await job.enqueue('child', 'named', { id: 'named' });
      await job.enqueue('child', 'later', { delay: 1 });
    });
    const child = inlineJob((_which: string) => {});
    return { parent, child };
  }
}

async function live(kill?: Kill): Promise<{ isKilled: boolean; story: Story }> {
  const [disk, story] = [new MemoryDisk(), new Story()];
  const store = new KillableStore(openMemoryStore(disk), kill);
  const opening = openJobs(store, story.jobs).then(async ({ engine }) => {
    await engine.enqueue('parent', undefined, { id: 'parent' });
    for (;;) {
      await engine.drain();
      const { scheduled } = await engine.counts();
      if (scheduled === 0) return;
      await store.quiet();
    }
  });
  // What is done with a store that is dead never comes to an end.
  const died = (async () => {
    while (!store.isDead) await store.quiet();
  })();
  await Promise.race([opening, died]);
  const isKilled = store.isDead;
  store.die();
  const { engine } = await openJobs(openMemoryStore(disk), story.jobs);
  // Where the first enqueue was not acknowledged, it is made again.
  await engine.enqueue('parent', undefined, { id: 'parent' });
  await engine.result('parent');
  await engine.result('named');
  while ((await engine.counts()).completed < 4) await new Promise((resolve) => setImmediate(resolve));
  const { completed, ...others } = await engine.counts();
  expect(completed, JSON.stringify(kill)).toBe(4);
  expect(
    Object.values(others).every((count) => count === 0),
    JSON.stringify(others),
  ).toBe(true);
  expect(story.lost).toBe(0);
  expect(disk.keys().filter((key) => key.startsWith('k!'))).toEqual([]);
  return { isKilled, story };
}

test.each(['before', 'after'] as const)('killed %s the disk has a write', async (when) => {
  const resumedFrom = new Set<number>();
  let write = 1;
  for (; ; write++) {
    const { isKilled, story } = await live({ write, when });
    if (!isKilled) break;
    for (const step of story.resumedFrom) resumedFrom.add(step);
  }
  // As many as a life has, and each step was resumed from.
  expect(write).toBeGreaterThan(STEPS + 5);
  expect(resumedFrom).toEqual(new Set([0, 1, 2, 3]));
});
