import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ReadyEntry } from '../../src/queue/entry-list.js';
import { Window, WINDOW_SIZE } from '../../src/queue/window.js';
import { WindowModel } from './window-model.js';

const entryOf = (key: string, name = 'a'): ReadyEntry => ({ key, name, id: `id-${key}` });
const firstKey = (window: Window): string | undefined => window.first(() => true)?.key;

/** A window that has read all of an empty queue. */
function openWindow(size = WINDOW_SIZE): Window {
  const window = new Window(size);
  window.beginPage();
  window.endPage({ entries: [] });
  return window;
}

type Step =
  | readonly [what: 'commit' | 'claim' | 'cancel' | 'giveBack', key: number, name: string]
  | readonly [what: Plain];
type Plain = 'write' | 'tell' | 'beginPage' | 'readPage' | 'endPage' | 'failPage';

function takeStep(model: WindowModel, step: Step): void {
  const key = step.length === 3 ? `k${String(step[1]).padStart(2, '0')}` : '';
  switch (step[0]) {
    case 'commit':
      model.commit(key, step[2]);
      break;
    case 'claim':
      model.claim(step[2] === 'any' ? undefined : step[2]);
      break;
    case 'cancel':
    case 'giveBack':
      model[step[0]](key);
      break;
    default:
      model[step[0]]();
  }
  model.check();
}

const anyKey = fc.integer({ min: 0, max: 30 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant('commit' as const), anyKey, fc.constantFrom('a', 'b')) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('claim' as const), anyKey, fc.constantFrom('a', 'b', 'any')) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('cancel', 'giveBack'), anyKey, fc.constant('')) },
  {
    weight: 16,
    arbitrary: fc.tuple(
      fc.constantFrom<Plain>(
        ...(['write', 'write', 'write', 'tell', 'tell', 'tell', 'beginPage', 'beginPage'] as const),
        ...(['readPage', 'endPage', 'endPage', 'failPage'] as const),
      ),
    ),
  },
);

test('a window is the head of its queue at every moment, and hands out everything once and in order', () => {
  const steps = fc.array(anyStep, { maxLength: 120, size: 'max' });
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 1, max: 6 }), steps, (size, page, walk) => {
      const model = new WindowModel(size, page);
      for (const step of walk) takeStep(model, step);
      model.settle();
      model.check();
      const remaining = model.remaining();
      const before = model.handedOut.length;
      for (let turn = 0; turn < 200 && model.remaining().length > 0; turn++) {
        model.beginPage();
        model.endPage();
        model.check();
        model.claim();
      }
      expect(model.handedOut.slice(before).map(({ key }) => key)).toStrictEqual(remaining);
    }),
    { numRuns: 1_500 },
  );
});

test('an entry that a page showed before its own commit was told is handed out once', () => {
  const window = new Window();
  window.beginPage();
  window.endPage({ entries: [entryOf('a')] });
  window.take('a');
  // The continuation of the enqueue, late.
  window.add(entryOf('a'));
  expect(firstKey(window)).toBeUndefined();
  window.settle('a');
  expect(window.length).toBe(0);
});

test('a job that becomes available again while an older page is read is handed out again', () => {
  const window = new Window(4);
  window.beginPage();
  window.endPage({ entries: [entryOf('a'), entryOf('b')], next: 'b' });
  window.take('b');
  window.beginPage();
  window.settle('b');
  window.add(entryOf('b'));
  window.endPage({ entries: [] });
  expect(firstKey(window)).toBe('a');
  window.take('a');
  expect(firstKey(window)).toBe('b');
});

test('a job that is cancelled on disk does not come with the page that still shows it', () => {
  const window = new Window();
  window.beginPage();
  window.take('b');
  window.settle('b');
  window.endPage({ entries: [entryOf('a'), entryOf('b')] });
  window.take('a');
  expect(firstKey(window)).toBeUndefined();
});

test('a more urgent job pushes the last one of a full window back to disk', () => {
  const window = openWindow(2);
  for (const key of ['b', 'c', 'a']) window.add(entryOf(key));
  expect(window.length).toBe(2);
  window.take('a');
  expect(window.wants).toBe('b');
  window.take('b');
  expect(firstKey(window)).toBeUndefined();
  window.beginPage();
  window.endPage({ entries: [entryOf('c')] });
  expect(firstKey(window)).toBe('c');
});

test('a page is wanted from half a window on, and not while one is read or after the last', () => {
  const window = new Window(4);
  expect(window.wants).toBe('');
  window.beginPage();
  expect(window.wants).toBeUndefined();
  window.endPage({ entries: ['a', 'b', 'c'].map((key) => entryOf(key)), next: 'c' });
  expect(window.wants).toBeUndefined();
  window.take('a');
  expect(window.wants).toBe('c');
  window.beginPage();
  window.endPage({ entries: [] });
  expect(window.wants).toBeUndefined();
});

test('a page that could not be read is wanted again', () => {
  const window = new Window();
  window.beginPage();
  window.endPage(undefined);
  expect(window.wants).toBe('');
});

test('more commits during a page than a window holds are found again on disk', () => {
  const window = new Window(3);
  window.beginPage();
  const keys = Array.from({ length: 50 }, (_, i) => `k${String(49 - i).padStart(2, '0')}`);
  for (const key of keys) window.add(entryOf(key));
  // As the disk was when the reading began.
  window.endPage({ entries: [] });
  expect(window.length).toBe(3);
  for (const key of ['k00', 'k01', 'k02']) {
    expect(firstKey(window)).toBe(key);
    window.take(key);
  }
  expect(window.wants).toBe('k02');
});

test('an entry that could not be claimed comes back to its place', () => {
  const window = openWindow();
  for (const key of ['1', '2', '3']) window.add(entryOf(key));
  const taken = window.take('1');
  if (taken) window.giveBack(taken);
  expect(firstKey(window)).toBe('1');
  expect(window.take('1')?.key).toBe('1');
  window.settle('1');
  expect(firstKey(window)).toBe('2');
});

test('nothing lives below the mark that a window gives, with a removal on its way', () => {
  const window = openWindow(4);
  for (const key of ['b', 'c']) window.add(entryOf(key));
  window.take('b');
  expect(window.lowestLive() <= 'b').toBe(true);
  window.settle('b');
  expect(window.lowestLive()).toBe('c');
  window.take('c');
  window.settle('c');
  expect(window.lowestLive()).toBe('c');
});
