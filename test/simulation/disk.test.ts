/** The simulated disk fails as LevelDB does. */
import { expect, test } from 'vitest';
import { SimulatedDisk, type DiskHandle } from './disk.js';

const machine = { moment: () => 0, onLoss: () => {}, onOpen: () => {} };
const put = (disk: DiskHandle, key: string, sync = false): void =>
  disk.write([[key, Uint8Array.of(1)]], sync);
const keysOf = (disk: SimulatedDisk): string[] =>
  disk.page({ from: 'a', to: 'z', limit: Infinity }).map(({ key }) => key);

test('a power cut leaves what was synced and the first of what was not', () => {
  let moment = 0;
  const disk = new SimulatedDisk({ ...machine, moment: () => moment });
  const handle = disk.open();
  for (const [i, key] of ['a', 'b', 'c', 'd', 'e'].entries()) {
    moment = i;
    put(handle, key, key === 'b');
  }
  expect(disk.unsynced).toBe(3);
  expect(disk.cutPower(1)).toBe(3);
  expect(keysOf(disk)).toEqual(['a', 'b', 'c']);
  expect(disk.cutPower(1)).toBeUndefined();
  expect(keysOf(disk)).toEqual(['a', 'b', 'c']);
});

test('what a process finds when it opens the disk, no power cut takes any more', () => {
  const disk = new SimulatedDisk(machine);
  put(disk.open(), 'a');
  disk.open();
  disk.cutPower(0);
  expect(keysOf(disk)).toEqual(['a']);
});

test.each([
  ['nothing', ['a']],
  ['all', ['a', 'b']],
] as const)('of a write that fails %s is there, and of those after it nothing', (failure, found) => {
  const disk = new SimulatedDisk(machine);
  const handle = disk.open();
  put(handle, 'a', true);
  disk.failNext(failure);
  expect(() => put(handle, 'b', true)).toThrow('No space left');
  expect(handle.get('b')).toBeUndefined();
  put(handle, 'c', true);
  expect(handle.get('c')).toBeDefined();
  expect(keysOf(disk)).toEqual(found);
  const reopened = disk.open();
  put(reopened, 'd');
  expect(keysOf(disk)).toEqual([...found, 'd']);
});
