/** The harness at work, for a few cuts; `npm run power-cut` has more. It needs strace. */
import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import type { Recorded } from '../crash/facts.js';
import { tellStory } from '../crash/story.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { runPowerCuts, type Found } from './harness.js';
import { withoutExpected, withoutTaken } from './promise.js';

const isThere = !spawnSync('strace', ['-V']).error;

const storyOf = (found: readonly Found[]): string =>
  found.map(({ violations, facts }) => tellStory(violations, facts)).join('\n');

test.skipIf(!isThere)('what was synced outlives power cuts', { timeout: 120_000 }, async () => {
  const directory = await temporaryDirectory();
  const { found, summary } = await runPowerCuts({ cuts: 3, seed: 1, durability: 'fsync', directory });
  expect(found, storyOf(found)).toEqual([]);
  expect(summary.acknowledged).toBeGreaterThan(0);
  expect(summary.unsyncedBytes.written).toBeGreaterThan(0);
});

test.skipIf(!isThere)('an engine that does not sync is found out', { timeout: 120_000 }, async () => {
  const directory = await temporaryDirectory();
  // strace says that it was done, and the system never hears of it.
  const options = ['-e', 'inject=fdatasync:retval=0'];
  const { found, summary } = await runPowerCuts({
    cuts: 4,
    seed: 1,
    durability: 'fsync',
    directory,
    options,
  });
  expect(found.length).toBeGreaterThan(0);
  expect(summary.violations['lost']).toBeGreaterThan(0);
});

test('for a process after a power cut, the machine has been started anew', () => {
  const otherBoot = new URL('./other-boot.js', import.meta.url).href;
  const module = new URL('../../src/journal/boot.js', import.meta.url).href;
  const program = `import { currentBoot } from '${module}'; console.log(currentBoot(), currentBoot())`;
  const bootIn = (...options: string[]): string =>
    execFileSync(process.execPath, [...options, '--input-type=module', '-e', program], { encoding: 'utf8' });
  const [first, second] = bootIn('--import', otherBoot).trim().split(' ');
  expect(first).toMatch(/^[\da-f-]{36}$/);
  expect(second).toBe(first);
  expect(bootIn()).not.toContain(first);
});

test('a power cut may take what was not to be synced, and nothing else', () => {
  const enqueued = { at: 1, kind: 'enqueued', name: 'tiny' } as const;
  const asked: Recorded = { at: 1, kind: 'asked', operation: 'enqueue many', together: ['a', 'b'] };
  const known: Recorded[] = [
    asked,
    { ...enqueued, id: 'a' },
    { ...enqueued, id: 'b' },
    { ...enqueued, id: 'c' },
    { at: 2, kind: 'ended', id: 'a', state: 'completed', by: 'event' },
    { at: 2, kind: 'ended', id: 'b', state: 'completed', by: 'event' },
    { at: 2, kind: 'errored', id: 'b', attempt: 1 },
    { at: 3, kind: 'refused', operation: 'await', id: 'c', code: 'MILLRACE_JOB_NOT_FOUND' },
    { at: 2, kind: 'checkpointed', id: 'b', mark: { id: 'b', step: 1 } },
    { at: 3, kind: 'retried', id: 'b', state: 'available' },
    { at: 3, kind: 'removed', id: 'c', wasThere: true },
  ];
  // What these are to survive was told only later; of `c`, never.
  const whole: Recorded[] = [
    ...known,
    { ...enqueued, id: 'a', durability: 'fsync' },
    { ...enqueued, id: 'b', durability: 'os' },
  ];
  const about = withoutTaken(known, whole).map((fact) => ('id' in fact ? fact.id : fact.kind));
  expect(about).toEqual(['asked', 'a', 'a']);
});

test('and what a job has enqueued, where either was not to be synced and can have gone since', () => {
  const followedUp = (id: string, followUp: string): Recorded => ({
    at: 2,
    kind: 'followedUp',
    id,
    followUp,
  });
  const started = {
    at: 3,
    kind: 'started',
    name: 'tiny',
    queue: 'default',
    attempt: 1,
    maxAttempts: 1,
    pid: 1,
    thread: 1,
    living: [1],
  } as const;
  const known: Recorded[] = [
    followedUp('synced', 'waits'),
    followedUp('synced', 'ran'),
    followedUp('synced', 'ran synced'),
    followedUp('not synced', 'waits too'),
    { ...started, id: 'ran' },
    { ...started, id: 'ran synced' },
  ];
  const enqueued = { at: 1, kind: 'enqueued', name: 'tiny', durability: 'fsync' } as const;
  const whole: Recorded[] = [...known, { ...enqueued, id: 'synced' }, { ...enqueued, id: 'ran synced' }];
  const about = withoutTaken(known, whole).flatMap((fact) =>
    fact.kind === 'followedUp' ? [fact.followUp] : [],
  );
  expect(about).toEqual(['waits', 'ran synced']);
});

test('and that a schedule was changed, where that was not to be synced: then it is as if nobody had answered', () => {
  const asked = { at: 1, kind: 'changing', schedule: 'nightly', change: 'pause' } as const;
  const answered = { at: 2, kind: 'answered', schedule: 'nightly' } as const;
  const known: Recorded[] = [
    { ...asked, call: 'a' },
    { ...answered, call: 'a', durability: 'os' },
    { ...asked, call: 'b' },
    { ...answered, call: 'b', durability: 'fsync' },
  ];
  expect(withoutTaken(known, known)).toEqual(known.toSpliced(1, 1));
});

test('that the end of a log was torn is no wonder after a power cut, and all else is', () => {
  const warned = (code: string): Recorded => ({ at: 1, kind: 'warned', code, message: 'it says so' });
  const facts = [warned('MILLRACE_JOURNAL_TORN'), warned('MILLRACE_JOURNAL_CORRUPT')];
  expect(withoutExpected(facts)).toEqual([warned('MILLRACE_JOURNAL_CORRUPT')]);
});
