/** What survives the death of a process, and of the power. */
import * as fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { openJournal } from '../../src/journal/open.js';
import { Transaction } from '../../src/journal/transaction.js';
import { openInChild } from '../fixtures/children.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { readyIds } from './harness.js';

test('a process that is killed while it writes loses no job that it acknowledged, and repeats no number', async () => {
  const directory = await temporaryDirectory();
  const acknowledged: number[] = [];
  for (let round = 0; round < 3; round++) {
    const child = openInChild(directory, 'write');
    await child.news.reached(200);
    await child.kill();
    for (const news of child.news.all) if (news.kind === 'acknowledged') acknowledged.push(news.sequence);
  }
  expect(acknowledged.length).toBeGreaterThan(500);
  expect(new Set(acknowledged).size).toBe(acknowledged.length);

  const journal = await openJournal({ directory, lockTimeoutMs: 0, clock: new FakeClock() });
  onTestFinished(() => journal.close());
  const ready = new Set(await readyIds(journal, 'default', 1_000));
  expect(acknowledged.filter((sequence) => !ready.has(`job-${sequence}`))).toStrictEqual([]);
  expect(journal.counts().available).toBe(ready.size);
  expect(journal.nextSequence()).toBeGreaterThan(Math.max(...acknowledged));
});

test('a power cut takes back only what was not synced, in the order of the commits', async () => {
  const anyTurns = fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(anyTurns, async (turns) => {
      const disk = new MemoryDisk();
      const journal = await Journal.open(openMemoryStore(disk));
      const ids: string[] = [];
      let synced = 0;
      for (const turn of turns) {
        const commits = turn.map((isSynced) => {
          const spec = specOf(journal.nextSequence(), { durability: isSynced ? 'fsync' : 'os' });
          ids.push(spec.id);
          return journal.commit(new Transaction().enqueue(spec, enqueued(spec)));
        });
        await Promise.all(commits);
        // The first write also reserves sequence numbers, and that is always synced.
        if (turn.includes(true) || turn === turns[0]) synced = ids.length;
      }
      disk.dropUnsynced();
      const next = await Journal.open(openMemoryStore(disk));
      expect(await readyIds(next)).toStrictEqual(ids.slice(0, synced));
      expect(next.counts().available).toBe(synced);
      if (synced > 0) expect(next.nextSequence()).toBeGreaterThan(synced);
    }),
  );
});
