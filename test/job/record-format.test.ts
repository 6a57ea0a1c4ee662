/** Records as bytes, and what older versions have left. */
import { expect, test } from 'vitest';
import { pack } from '../../src/job/packer.js';
import type { JobSpec, JobStatus } from '../../src/job/record.js';
import { decodeSpec, decodeStatus, encodeSpec, encodeStatus } from '../../src/job/record-format.js';

const spec: JobSpec = {
  id: 'a',
  name: 'work',
  queue: 'default',
  priority: -7,
  sequence: 12,
  enqueuedAt: 1_700_000_000_000,
  durability: 'fsync',
  payload: Uint8Array.of(1, 2, 3),
};
const rareSpec = {
  runAt: 1_700_000_000_001,
  maxAttempts: 9,
  timeoutMs: 50,
  schedule: 'nightly',
  scheduledFor: 1_700_000_000_000,
};
const status: JobStatus = { state: 'completed', attempt: 2, claim: 31, startedAt: 5, finishedAt: 6 };
const errors = [{ attempt: 1, startedAt: 3, endedAt: 4, error: Uint8Array.of(9) }];
const rareStatus = { runAt: 7, cancelRequestedAt: 8, errors };
const result = Uint8Array.of(4, 5);

test('a record comes back as it went in, with few fields or with all', () => {
  for (const one of [spec, { ...spec, ...rareSpec }, { ...spec, scheduledFor: 0 }])
    expect(plain(decodeSpec('a', encodeSpec(one)))).toStrictEqual(plain(one));
  for (const one of [
    status,
    { ...status, ...rareStatus, snoozes: 3, snoozeError: result },
    { ...status, ...rareStatus, result },
  ])
    expect(plain(decodeStatus(encodeStatus(one)))).toStrictEqual(plain(one));
});

test('up to format 5 what few jobs have had places instead of names', () => {
  const withSpec = (...rare: unknown[]) => asBefore(encodeSpec({ ...spec, runAt: 0 }), { runAt: 0 }, rare);
  const { runAt, maxAttempts, timeoutMs, schedule, scheduledFor } = rareSpec;
  const all = withSpec(runAt, maxAttempts, timeoutMs, schedule, scheduledFor);
  expect(plain(decodeSpec('a', all))).toStrictEqual(plain({ ...spec, ...rareSpec }));
  const few = withSpec(null, null, timeoutMs);
  expect(plain(decodeSpec('a', few))).toStrictEqual(plain({ ...spec, timeoutMs }));

  const record = encodeStatus({ ...status, runAt: 0, result });
  const withStatus = (...rare: unknown[]) => asBefore(record, { runAt: 0 }, rare);
  const failed = withStatus(7, 8, [[1, 3, 4, Uint8Array.of(9)]]);
  expect(plain(decodeStatus(failed))).toStrictEqual(plain({ ...status, ...rareStatus, result }));
  expect(plain(decodeStatus(withStatus(7, null, null)))).toStrictEqual(
    plain({ ...status, runAt: 7, result }),
  );
});

/** The record with other rare fields, in their places. */
function asBefore(record: Uint8Array, named: object, placed: readonly unknown[]): Uint8Array {
  const [old, own] = [framed(pack(named)), framed(pack(placed))];
  const bytes = Buffer.from(record);
  const at = bytes.indexOf(old);
  expect(at).toBeGreaterThan(0);
  return Buffer.concat([bytes.subarray(0, at), own, bytes.subarray(at + old.length)]);
}

function framed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.byteLength);
  return Buffer.concat([length, bytes]);
}

/** Bytes as numbers, whatever class of view they are. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_key, one: unknown) =>
      one instanceof Uint8Array ? Array.from(one) : isBufferJson(one) ? one.data : one,
    ),
  );
const isBufferJson = (value: unknown): value is { data: number[] } =>
  typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer';
