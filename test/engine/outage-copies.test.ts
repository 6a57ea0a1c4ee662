/** An outage of the journal while jobs are imported, and while they are exported. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { Transfer } from '../../src/runtime/transfer.js';
import { collect } from '../fixtures/collect.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

/** Lines of an export with so many jobs for later. */
function linesWith(jobs: number): string[] {
  const job = { name: 'work', queue: 'default', state: 'scheduled', runAt: 9e12, priority: 0, enqueuedAt: 1 };
  const lines = Array.from({ length: jobs }, (_, i) => ({
    ...job,
    id: `${i}`,
    durability: 'fsync',
    attempt: 0,
  }));
  const all = [{ format: 'millrace-jobs', version: 1 }, ...lines, { end: true, jobs }];
  return all.map((one) => JSON.stringify(one));
}

test.each(['lost', 'applied'] as const)(
  'an import whose write fails (and is %s) is told, and can be made again when the journal is back',
  async (fault) => {
    const store = new FragileStore(openMemoryStore(new MemoryDisk()));
    const { engine, warnings } = await openInline(store);
    const directory = await temporaryDirectory();
    const transfer = new Transfer({ ...engine.imports, directory, clock: systemClock });
    const lines = linesWith(1_200);
    let writes = 0;
    store.onWrite = () => {
      if (++writes === 2) store.writes = fault;
    };
    await expect(transfer.import(lines)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
    store.onWrite = () => {};
    store.writes = undefined;
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
    expect(await transfer.import(lines)).toEqual(
      fault === 'applied' ? { imported: 200, skipped: 1_000 } : { imported: 700, skipped: 500 },
    );
    expect(await engine.counts()).toMatchObject({ scheduled: 1_200 });
    const copied = await collect(transfer.export());
    expect(copied).toHaveLength(1_202);
    expect(await transfer.backUp(join(await temporaryDirectory(), 'backup'))).toMatchObject({ jobs: 1_200 });
    await transfer.close();
  },
);
