/** Low-water marks: what lives is always found, and what is gone is not walked over. */
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Job } from '../../src/job/record.js';
import { cancelled, enqueued } from '../../src/job/transitions.js';
import { DUE_SPAN, dueKey, laneSpan, readyKey, RUNNING_SPAN, runningKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Disk, DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { claim, dueIds, enqueue, move, openOn, readyIds, runningIds, type Opened } from './harness.js';

const FROM = laneSpan('default', 'resize').from;
type What = 'put' | 'remove' | 'raise' | 'turn' | 'hold' | 'letGo' | 'wait' | 'reopen';
type Step = readonly [what: What, n: number];

const anyWalk = (): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.tuple(
      fc.constantFrom<What>(
        ...([
          'put',
          'put',
          'put',
          'remove',
          'remove',
          'remove',
          'raise',
          'raise',
          'raise',
          'turn',
          'turn',
        ] as const),
        ...(['hold', 'letGo', 'wait', 'wait', 'reopen'] as const),
      ),
      fc.nat(30),
    ),
    { minLength: 10, maxLength: 60, size: 'max' },
  );

/** A queue whose owner raises the mark to what it knows: to the lowest job that it was told of and that is not gone. */
class MarkedQueue {
  readonly #disk: Disk;
  #opened: Opened;
  /** Told to be there, and not yet told to be gone. */
  readonly #known = new Map<string, Job>();
  readonly #removing = new Set<string>();
  #highestGone = '';
  #commits: Promise<void>[] = [];

  private constructor(disk: Disk, opened: Opened) {
    this.#disk = disk;
    this.#opened = opened;
  }

  static async on(disk: Disk): Promise<MarkedQueue> {
    return new MarkedQueue(disk, await openOn(disk));
  }

  async take([what, n]: Step): Promise<void> {
    const { journal, store } = this.#opened;
    switch (what) {
      case 'put':
        this.#put(n);
        break;
      case 'remove':
        this.#remove(n);
        break;
      case 'raise':
        journal.raiseMark(FROM, this.#lowest());
        break;
      case 'turn':
        await turn();
        break;
      case 'hold':
        store.hold();
        break;
      case 'letGo':
        store.letGo();
        break;
      case 'wait':
        await this.#settle();
        break;
      case 'reopen':
        await this.check();
        break;
      default:
        what satisfies never;
    }
  }

  /** The next process finds everything that is there. */
  async check(): Promise<void> {
    await this.#settle();
    const expected = [...this.#known.keys()].sort().map((key) => this.#known.get(key)?.spec.id);
    expect(await readyIds(this.#opened.journal, 'default', 3)).toStrictEqual(expected);
    await this.#opened.journal.close();
    this.#opened = await openOn(this.#disk);
    expect(await readyIds(this.#opened.journal, 'default', 3)).toStrictEqual(expected);
  }

  #put(n: number): void {
    const spec = specOf(this.#opened.journal.nextSequence(), { priority: n });
    const job = { spec, status: enqueued(spec) };
    this.#commit(new Transaction().enqueue(spec, job.status), () => this.#known.set(readyKey(spec), job));
  }

  #remove(n: number): void {
    const able = [...this.#known].filter(([key]) => !this.#removing.has(key));
    const [key, job] = able[n % able.length] ?? [];
    if (!key || !job) return;
    this.#removing.add(key);
    this.#commit(new Transaction().move(job.spec, job.status, cancelled(job.status, NOW)), () => {
      this.#known.delete(key);
      if (key > this.#highestGone) this.#highestGone = key;
    });
  }

  #commit(change: Transaction, then: () => void): void {
    this.#commits.push(this.#opened.journal.commit(change).then(then));
  }

  #lowest(): string {
    return [...this.#known.keys()].sort()[0] ?? this.#highestGone;
  }

  async #settle(): Promise<void> {
    this.#opened.store.letGo();
    await Promise.all(this.#commits.splice(0));
  }
}

export function markSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: a mark that is raised to what lives never hides a job, whatever is put below it meanwhile`, async () => {
    await fc.assert(
      fc.asyncProperty(anyWalk(), async (walk) => {
        const queue = await MarkedQueue.on(await createDisk());
        for (const step of walk) await queue.take(step);
        await queue.check();
      }),
      { numRuns: name === 'memory' ? 300 : 25, endOnFailure: name !== 'memory' },
    );
  });

  test(`${name}: the next process begins where the mark is, in each span`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    const later = { runAt: NOW + 5_000 };
    await enqueue(journal, specOf(8, later), specOf(9));
    const [running = jobOf(1)] = await enqueue(journal, specOf(1));
    const claimed = await claim(journal, running);
    // A mark never passes what the last two writes have put.
    await enqueue(journal, specOf(11, { queue: 'other' }));
    journal.raiseMark(FROM, readyKey(specOf(9)));
    journal.raiseMark(DUE_SPAN.from, dueKey(later.runAt, 8));
    journal.raiseMark(RUNNING_SPAN.from, runningKey(claimed.status.claim ?? 0));
    await enqueue(journal, specOf(10));
    await journal.close();

    const next = await openOn(disk);
    next.store.pages.length = 0;
    const pages = [await readyIds(next.journal), await dueIds(next.journal), await runningIds(next.journal)];
    expect(pages).toStrictEqual([['job-9', 'job-10'], ['job-8'], ['job-1']]);
    expect(next.store.pages.map(({ range }) => range.from)).toStrictEqual([
      readyKey(specOf(9)),
      dueKey(later.runAt, 8),
      runningKey(claimed.status.claim ?? 0),
    ]);
  });

  test(`${name}: a job put below a mark lowers it, in the same write`, async () => {
    const disk = await createDisk();
    const { journal } = await openOn(disk);
    await enqueue(journal, specOf(5));
    journal.raiseMark(FROM, readyKey(specOf(5)));
    await enqueue(journal, specOf(6, { priority: 1 }));
    const next = await openOn(await disk.afterKill());
    expect(await readyIds(next.journal)).toStrictEqual(['job-6', 'job-5']);
  });

  test(`${name}: a mark never passes an entry that is pinned, in its span and in no other`, async () => {
    const { journal, store } = await openOn(await createDisk());
    await enqueue(journal, specOf(3), specOf(5), specOf(4, { name: 'mail' }));
    journal.pin(readyKey(specOf(5)));
    journal.pin(readyKey(specOf(3)));
    journal.raiseMark(FROM, readyKey(specOf(5)));
    journal.raiseMark(laneSpan('default', 'mail').from, readyKey(specOf(4, { name: 'mail' })));
    expect(await readyIds(journal)).toStrictEqual(['job-3', 'job-5']);
    await journal.indexes.ready('default', 'mail', undefined, 1);
    expect(store.pages.slice(-2).map(({ range }) => range.from)).toStrictEqual([
      readyKey(specOf(3)),
      readyKey(specOf(4, { name: 'mail' })),
    ]);
  });

  test(`${name}: a mark is never lowered by raising it`, async () => {
    const disk = await createDisk();
    const { journal, store } = await openOn(disk);
    await enqueue(journal, specOf(5));
    journal.raiseMark(FROM, readyKey(specOf(5)));
    journal.raiseMark(FROM, readyKey(specOf(2)));
    await readyIds(journal);
    expect(store.pages.at(-1)?.range.from).toBe(readyKey(specOf(5)));
  });

  test(`${name}: the mark of one queue is none of another's`, async () => {
    const { journal } = await openOn(await createDisk());
    const [job = jobOf(2)] = await enqueue(journal, specOf(2), specOf(1, { queue: 'default-2' }));
    await move(journal, job, cancelled(job.status, NOW));
    journal.raiseMark(FROM, readyKey(specOf(1_000)));
    await enqueue(journal, specOf(3, { queue: 'default-2' }));
    expect(await readyIds(journal, 'default-2')).toStrictEqual(['job-1', 'job-3']);
  });
}
