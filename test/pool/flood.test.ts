/** A handler in a thread that tells more of itself than anybody can hear: the event loop stays free, and nothing that counts is lost. */
import { onTestFinished, expect, test } from 'vitest';
import { MAX_UNHEARD, Slot } from '../../src/pool/slot.js';
import type { Script } from '../fixtures/scripted.js';
import { Gate } from '../fixtures/gate.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { resultOf, run, task, type PoolNews } from './news.js';
import { threads } from './threads.js';

/** Counts what is heard in each turn of the event loop. @returns the most so far. */
function perTurn(news: PoolNews): () => number {
  let [heard, most] = [0, 0];
  const count = (): void => {
    most = Math.max(most, news.all.all.length - heard);
    heard = news.all.all.length;
    turn = setImmediate(count);
  };
  let turn = setImmediate(count);
  onTestFinished(() => clearImmediate(turn));
  return () => most;
}

const progressOf = (news: PoolNews): unknown[] =>
  news.all.all.flatMap((one) => (one.kind === 'progress' ? [one.value] : []));

/** Beside what is told: that a task is settled, say, and what was held back. */
const OTHERS = 5;

test('every line of a flood is heard, in order, and no turn hears many', async () => {
  const { pool, news } = await threads();
  const most = perTurn(news);
  const one = task({ do: 'flood', what: 'log', times: 20_000 }, { id: 'it' });
  run(pool, one);
  await news.outcome(one);
  const lines = Array.from({ length: 20_000 }, (_, i) => `it info line ${i}`);
  expect(news.story()).toEqual([...lines, 'it completed']);
  expect(most()).toBeLessThanOrEqual(MAX_UNHEARD + OTHERS);
});

test('of a flood of progress few values are heard, the first ones and the last one among them', async () => {
  const { pool, news } = await threads();
  const most = perTurn(news);
  const one = task({ do: 'flood', what: 'progress', times: 200_000, next: { do: 'return', value: 'done' } });
  run(pool, one);
  expect(resultOf(await news.outcome(one))).toBe('done');
  const values = progressOf(news);
  expect(values.slice(0, MAX_UNHEARD)).toEqual(Array.from({ length: MAX_UNHEARD }, (_, i) => i));
  expect(values.at(-1)).toBe(199_999);
  expect(values).toEqual(values.toSorted((a, b) => Number(a) - Number(b)));
  expect(values.length).toBeLessThan(100_000);
  expect(most()).toBeLessThanOrEqual(MAX_UNHEARD + OTHERS);
});

test('what is told after a flood of progress is heard after its last value', async () => {
  const { pool, news } = await threads();
  const ask: Script = { do: 'checkpoint', values: [1], next: { do: 'exit', code: 3 } };
  const flood = (next: Script): Script => ({ do: 'flood', what: 'progress', times: 1_000, next });
  const one = task(flood({ do: 'log', messages: ['behind it'], next: flood(ask) }));
  run(pool, one);
  await news.outcome(one);
  const told = news.all.all.filter(({ kind }) => kind !== 'available');
  const at = (kind: string): number => told.findIndex((news) => news.kind === kind);
  expect(told[at('log') - 1]).toMatchObject({ kind: 'progress', value: 999 });
  expect(told[at('request') - 1]).toMatchObject({ kind: 'progress', value: 999 });
  expect(at('request')).toBeGreaterThan(at('log'));
});

test.each([
  ['exits', { do: 'exit', code: 3 }, 999],
  ['throws', { do: 'throw' }, 999],
  // That one tells that it has begun.
  ['has a timer that throws', { do: 'strayDuring' }, 'begun'],
] as const)('the last value of a flood is heard of a handler that then %s', async (_what, next, last) => {
  const { pool, news } = await threads();
  const one = task({ do: 'flood', what: 'progress', times: 1_000, next });
  run(pool, one);
  await news.outcome(one);
  expect(progressOf(news).at(-1)).toBe(last);
});

test('the last value of a flood is heard while its handler awaits something', async () => {
  const { pool, news } = await threads();
  const gate = await Gate.in(await temporaryDirectory());
  const next: Script = { do: 'passGate', gate: gate.path, label: 'in' };
  const one = task({ do: 'flood', what: 'progress', times: 1_000, next });
  run(pool, one);
  await news.all.until((told) => told.kind === 'progress' && told.value === 999);
  gate.open('in');
  expect((await news.outcome(one)).kind).toBe('completed');
});

test('a few of each are told as they come, though another job has flooded before', async () => {
  const { pool, news } = await threads();
  const [flood, report] = [
    task({ do: 'flood', what: 'progress', times: 1_000 }),
    task({ do: 'report' }, { id: 'it' }),
  ];
  run(pool, flood);
  await news.outcome(flood);
  await news.room(pool);
  run(pool, report);
  await news.outcome(report);
  expect(news.story().slice(-4)).toEqual([
    'it progress {"percent":10}',
    'it info halfway',
    'it progress {"percent":90}',
    'it completed',
  ]);
});

test('what is heard counts when the turn is over', async () => {
  const engine = new Slot();
  const thread = new Slot(engine.buffer);
  for (let told = 0; told < MAX_UNHEARD; told++) {
    expect(thread.mayTell).toBe(true);
    thread.tell();
  }
  expect(thread.mayTell).toBe(false);
  // The slot goes to another chunk, and the thread goes on counting.
  engine.reset(1);
  engine.hear();
  engine.hear();
  expect(thread.mayTell).toBe(false);
  await new Promise((resolve) => setImmediate(resolve));
  thread.awaitHearing();
  thread.tell();
  expect(thread.mayTell).toBe(true);
  thread.tell();
  expect(thread.mayTell).toBe(false);
});
