/** What a crash leaves at the end of the log, told from damage. */
import { link, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { Millrace, type MillraceError } from '../../src/index.js';
import { openCheckedStore } from '../../src/journal/checked-store.js';
import { readLog } from '../../src/journal/files/log.js';
import { Journal } from '../../src/journal/journal.js';
import type { Store } from '../../src/journal/store.js';
import { readWitness } from '../../src/journal/witness.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { StoreSpy } from '../fixtures/store-spy.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { WITNESS_INTERVAL_MS } from '../../src/journal/witness-keeper.js';
import { enqueue, readyIds } from './harness.js';

const ALL = ['job-1', 'job-2', 'job-3', 'job-4'];

interface Opened {
  readonly journal: Journal;
  readonly warnings: MillraceError[];
}

async function open(directory: string, boot: string, clock = new FakeClock()): Promise<Opened> {
  const warnings: MillraceError[] = [];
  const onWarning = (error: MillraceError): void => void warnings.push(error);
  const store = await openCheckedStore({ directory, clock, onWarning, boot });
  try {
    const journal = await Journal.open(store, boot);
    onTestFinished(() => journal.close());
    return { journal, warnings };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

/** The files as they are while the journal is open: what a process that is killed at this moment leaves. */
async function killed(directory: string): Promise<string> {
  const copy = await temporaryDirectory();
  for (const file of await readdir(directory)) {
    if (file !== 'LOCK' && file !== 'OWNER')
      await writeFile(join(copy, file), await readFile(join(directory, file)));
  }
  return copy;
}

async function logOf(directory: string): Promise<string> {
  const [log = ''] = (await readdir(directory))
    .filter((file) => file.endsWith('.log'))
    .sort()
    .toReversed();
  return join(directory, log);
}

const sizeOf = async (path: string): Promise<number> => (await readFile(path)).length;

interface Crash {
  /** A journal of four jobs, as the death of its process left it. */
  readonly directory: string;
  readonly log: string;
  /** The log's size after two of them: the witness knows of that much, and not of what came later. */
  readonly witnessed: number;
}

/** Four jobs in a log, of which the witness has seen two. */
async function crash(boot = 'one'): Promise<Crash> {
  const original = await temporaryDirectory();
  const clock = new FakeClock();
  const { journal } = await open(original, boot, clock);
  const synced = { durability: 'fsync' } as const;
  for (const _ of ALL) journal.nextSequence();
  await enqueue(journal, specOf(1, synced), specOf(2, synced));
  const log = await logOf(original);
  const witnessed = await sizeOf(log);
  const claim = async (): Promise<unknown> => {
    // Where nothing is to be noted any more, no timer is set, and the next note is so long away.
    if (!clock.isIdle) await clock.advance(WITNESS_INTERVAL_MS);
    return readWitness(original).testimony?.logs.at(-1);
  };
  await expect.poll(claim).toMatchObject({ written: witnessed, synced: witnessed });
  await enqueue(journal, specOf(3, synced));
  await enqueue(journal, specOf(4, synced));
  const directory = await killed(original);
  return { directory, log: await logOf(directory), witnessed };
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x04;
  await writeFile(path, bytes);
}

const corrupt = { code: 'MILLRACE_JOURNAL_CORRUPT' };

test('a process that died leaves a journal that opens without a word', async () => {
  const { directory } = await crash();
  const { journal, warnings } = await open(directory, 'one');
  expect(await readyIds(journal)).toStrictEqual(ALL);
  expect(warnings).toStrictEqual([]);
});

test('a record that the death of the process cut short is left out without a word', async () => {
  const { directory, log } = await crash();
  await truncate(log, (await sizeOf(log)) - 3);
  const { journal, warnings } = await open(directory, 'one');
  expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-2', 'job-3']);
  expect(warnings).toStrictEqual([]);
});

test.each(['one', 'another'])(
  'what the witness has seen and is not there any more is a loss, in start %s',
  async (boot) => {
    const { directory, log, witnessed } = await crash();
    await truncate(log, witnessed - 1);
    await expect(open(directory, boot)).rejects.toMatchObject(corrupt);
    await expect(open(directory, boot)).rejects.toThrow(
      /\.log at byte \d+: it ends after \d+ bytes, and had \d+/,
    );
  },
);

test.each(['one', 'another'])(
  'what the witness has seen and is not sound any more is damage, in start %s',
  async (boot) => {
    const { directory, log, witnessed } = await crash();
    await flip(log, witnessed - 10);
    await expect(open(directory, boot)).rejects.toMatchObject(corrupt);
  },
);

test('behind the witness, too, the death of a process flips no bits', async () => {
  const { directory, log, witnessed } = await crash();
  await flip(log, witnessed + 20);
  await expect(open(directory, 'one')).rejects.toMatchObject(corrupt);
});

test('what a power cut has damaged behind the witness is cut off, kept aside and told', async () => {
  const { directory, log, witnessed } = await crash();
  const before = await readFile(log);
  await flip(log, witnessed + 20);
  const { journal, warnings } = await open(directory, 'another');
  // Nothing of what follows the hole is applied, though it is sound.
  expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-2']);
  expect(warnings).toMatchObject([
    { code: 'MILLRACE_JOURNAL_TORN', message: expect.stringContaining('torn') },
  ]);
  const [kept = ''] = await readdir(join(directory, 'torn'));
  expect(await sizeOf(join(directory, 'torn', kept))).toBe(before.length - witnessed);
});

test('zeros that a power cut leaves at the end are cut off', async () => {
  const { directory, log, witnessed } = await crash();
  const bytes = await readFile(log);
  await writeFile(log, Buffer.concat([bytes.subarray(0, witnessed), Buffer.alloc(50_000)]));
  const { journal, warnings } = await open(directory, 'another');
  expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-2']);
  expect(warnings).toMatchObject([{ code: 'MILLRACE_JOURNAL_TORN' }]);
});

test('a log that is missing is a loss', async () => {
  const { directory, log } = await crash();
  await rm(log);
  await expect(open(directory, 'another')).rejects.toMatchObject(corrupt);
});

test.each(['CURRENT', 'CURRENT and all manifests'])(
  'a journal without %s is not taken for a new one',
  async (what) => {
    const { directory } = await crash();
    for (const file of await readdir(directory)) {
      if (file === 'CURRENT' || (what !== 'CURRENT' && file.startsWith('MANIFEST')))
        await rm(join(directory, file));
    }
    await expect(open(directory, 'one')).rejects.toMatchObject(corrupt);
  },
);

test('a process that died while it made a journal leaves nothing that is in the way', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'MANIFEST-000001'), 'half');
  const { journal, warnings } = await open(directory, 'one');
  expect(await readyIds(journal)).toStrictEqual([]);
  expect(warnings).toStrictEqual([]);
});

test('a journal from before there was a witness opens, and damage in the middle of it is noticed', async () => {
  const { directory, log, witnessed } = await crash();
  await rm(join(directory, 'WITNESS'));
  const other = await killed(directory);
  await flip(join(await logOf(other)), witnessed - 10);
  await expect(open(other, 'one')).rejects.toMatchObject(corrupt);
  await truncate(log, (await sizeOf(log)) - 3);
  const { journal, warnings } = await open(directory, 'one');
  expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-2', 'job-3']);
  expect(warnings).toMatchObject([{ code: 'MILLRACE_JOURNAL_WITNESS' }]);
});

test('a journal that was closed has every byte, or is refused', async () => {
  const directory = await temporaryDirectory();
  const { journal } = await open(directory, 'one');
  await enqueue(journal, ...ALL.map((_, i) => specOf(i + 1)));
  await journal.close();
  const log = await logOf(directory);
  const bytes = await readFile(log);
  for (const boot of ['one', 'another']) {
    for (const wrong of [
      bytes.subarray(0, -1),
      bytes.subarray(0, 0),
      Buffer.concat([bytes, Buffer.alloc(1)]),
    ]) {
      await writeFile(log, wrong);
      await expect(open(directory, boot)).rejects.toMatchObject(corrupt);
    }
  }
  await writeFile(log, bytes);
  expect(await readyIds((await open(directory, 'another')).journal)).toStrictEqual(ALL);
});

test('records without a format are not taken for a new journal', async () => {
  const directory = await temporaryDirectory();
  const store = await openCheckedStore({ directory, clock: systemClock, onWarning: () => {} });
  const batch = store.batch();
  batch.put('j!some', Uint8Array.of(1));
  await batch.write(true);
  await store.close();
  await expect(open(directory, 'one')).rejects.toMatchObject(corrupt);
});

test('a witness that cannot be written is told once and hurts no job', async () => {
  const directory = await temporaryDirectory();
  await (await open(directory, 'one')).journal.close();
  await rm(join(directory, 'WITNESS'));
  await symlink(join(directory, 'no-such-folder', 'WITNESS'), join(directory, 'WITNESS'));
  const clock = new FakeClock();
  const { journal, warnings } = await open(directory, 'one', clock);
  for (let i = 1; i < 5; i++) {
    await enqueue(journal, specOf(i, { durability: 'fsync' }));
    await clock.advance(WITNESS_INTERVAL_MS);
  }
  expect(await readyIds(journal)).toStrictEqual(ALL);
  await journal.close();
  expect(warnings.filter(({ code }) => code === 'MILLRACE_JOURNAL_WITNESS')).toHaveLength(1);
});

test('verify() tells a torn tail from damage, and changes nothing', async () => {
  const { directory, log } = await crash();
  await truncate(log, (await sizeOf(log)) - 3);
  const before = await readdir(directory);
  // The engine's own start of the machine is not "one": a power cut, as far as it can tell.
  const report = await Millrace.verify(directory);
  expect(report).toMatchObject({ sound: true, jobs: { available: 3 }, damageCount: 0 });
  expect(report.notes).toHaveLength(1);
  expect(await readdir(directory)).toStrictEqual(before);
});

/** The log's records from here on in a second log, as LevelDB begins one when the first is full. */
async function splitLog(log: string, bytes: Buffer, ends: number, begins: number): Promise<void> {
  await writeFile(log, bytes.subarray(0, ends));
  const next = log.replace(
    /(\d+)\.log$/,
    (_, number: string) => `${String(Number(number) + 1).padStart(6, '0')}.log`,
  );
  await writeFile(next, bytes.subarray(begins));
}

test.each([
  { what: 'its last record', lost: 1, left: ['job-1', 'job-2'] },
  { what: 'nothing', lost: 0, left: ALL },
])(
  'where a power cut took $what of a full log, the next one counts only if it follows on',
  async ({ lost, left }) => {
    const { directory, log } = await crash();
    const bytes = await readFile(log);
    const offsets = [...readLog(bytes)].map(({ offset }) => offset);
    const last = offsets.at(-1) ?? 0;
    await splitLog(log, bytes, lost > 0 ? (offsets.at(-2) ?? 0) : last, last);
    const { journal, warnings } = await open(directory, 'another');
    expect(await readyIds(journal)).toStrictEqual(left);
    expect(warnings.map(({ code }) => code)).toStrictEqual(lost > 0 ? ['MILLRACE_JOURNAL_TORN'] : []);
  },
);

test.each(['', 'half of what LevelDB'])(
  'a power cut during the very first open leaves nothing that is refused (a manifest of %j)',
  async (manifest) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'CURRENT'), 'MANIFEST-000001\n');
    await writeFile(join(directory, 'MANIFEST-000001'), manifest);
    const { journal } = await open(directory, 'one');
    await enqueue(journal, specOf(1));
    expect(await readyIds(journal)).toStrictEqual(['job-1']);
  },
);

/** Keeps what was there before a log was left for compaction, and the logs themselves: their names outlast them. */
class LeavingSpy extends StoreSpy {
  image = '';
  readonly #directory: string;

  constructor(store: Store, directory: string) {
    super(store);
    this.#directory = directory;
  }

  override async compact(from: string, to: string): Promise<void> {
    this.image = await temporaryDirectory();
    for (const file of await readdir(this.#directory)) {
      if (file === 'LOCK' || file === 'OWNER') continue;
      if (file.endsWith('.log')) await link(join(this.#directory, file), join(this.image, file));
      else await writeFile(join(this.image, file), await readFile(join(this.#directory, file)));
    }
    await super.compact(from, to);
  }
}

test('what was synced behind a log that was left for compaction outlasts a power cut', async () => {
  const directory = await temporaryDirectory();
  const options = { directory, clock: new FakeClock(), onWarning: () => {}, boot: 'one' };
  const store = new LeavingSpy(await openCheckedStore(options), directory);
  const journal = await Journal.open(store, 'one');
  onTestFinished(() => journal.close());
  await enqueue(journal, specOf(1, { durability: 'fsync' }));
  await journal.compact('job-1', 'job-2');
  await enqueue(journal, specOf(2, { durability: 'fsync' }));
  // The power goes before the manifest says that the log before this one is not needed.
  const log = await logOf(directory);
  await writeFile(join(store.image, basename(log)), await readFile(log));
  const { journal: after, warnings } = await open(store.image, 'another');
  expect(await readyIds(after)).toStrictEqual(['job-1', 'job-2']);
  expect(warnings).toStrictEqual([]);
});

test.each(['with its witness', 'without a witness'])(
  'a journal %s whose CURRENT names the first manifest is not taken for an unfinished one',
  async (what) => {
    const { directory, log } = await crash();
    if (what !== 'with its witness') await rm(join(directory, 'WITNESS'));
    await writeFile(join(directory, 'CURRENT'), 'MANIFEST-000001\n');
    const before = await readFile(log);
    await expect(open(directory, 'another')).rejects.toMatchObject(corrupt);
    expect(await readFile(log)).toStrictEqual(before);
  },
);

test('where CURRENT is lost, too, a repair reads on behind what is damaged in the log', async () => {
  const { directory, log, witnessed } = await crash();
  await rm(join(directory, 'CURRENT'));
  await flip(log, witnessed + 20);
  await Millrace.repair(directory);
  const { journal } = await open(directory, 'one');
  expect(await readyIds(journal)).toContain('job-4');
});
