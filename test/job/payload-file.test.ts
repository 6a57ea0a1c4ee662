import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  headerOf,
  isPayloadLost,
  jobIdIn,
  MAX_HEADER_BYTES,
  payloadIn,
  payloadUnread,
} from '../../src/job/payload-file.js';

/** As ids are: well-formed, and of 1 to 512 characters. */
const anyId = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 512 })
  .filter((id) => id.length <= 512 && id.isWellFormed());

/** A file as it is written, and what its job's record keeps. */
function fileOf(id: string, payload: Uint8Array) {
  const header = headerOf(id);
  const file = {
    name: 'one',
    offset: header.byteLength,
    bytes: payload.byteLength,
    checksum: crc32(payload),
  };
  return { file, contents: Buffer.concat([header, payload]) };
}

test('a file tells whose it is, from its start alone, and gives its payload back', () => {
  fc.assert(
    fc.property(anyId, fc.uint8Array({ maxLength: 3_000 }), (id, payload) => {
      const { file, contents } = fileOf(id, payload);
      expect(jobIdIn(contents.subarray(0, MAX_HEADER_BYTES))).toBe(id);
      expect(Buffer.compare(payloadIn(file, contents), payload)).toBe(0);
    }),
  );
});

test('a file that was cut off anywhere belongs to nobody, or has lost its payload', () => {
  const { file, contents } = fileOf('ein Auftrag', Uint8Array.of(1, 2, 3));
  for (let length = 0; length < contents.byteLength; length++) {
    const cut = contents.subarray(0, length);
    expect(jobIdIn(cut)).toBe(length < file.offset ? undefined : 'ein Auftrag');
    expect(() => payloadIn(file, cut)).toThrow(expect.objectContaining({ code: 'MILLRACE_JOURNAL_CORRUPT' }));
  }
});

test('a payload of which a bit has changed is not given', () => {
  const { file, contents } = fileOf('one', Uint8Array.of(1, 2, 3));
  for (let at = file.offset; at < contents.byteLength; at++) {
    const harmed = Buffer.from(contents);
    harmed[at] = (harmed[at] ?? 0) ^ 4;
    expect(() => payloadIn(file, harmed)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_JOURNAL_CORRUPT' }),
    );
  }
});

test('a file that is not there is lost, and one that cannot be read now may be read later', () => {
  const { file } = fileOf('one', Uint8Array.of(1));
  const failed = (code: string): Error => Object.assign(new Error(code), { code });
  expect(isPayloadLost(payloadUnread(file, failed('ENOENT')))).toBe(true);
  expect(payloadUnread(file, failed('EMFILE'))).toMatchObject({ code: 'EMFILE' });
  expect(isPayloadLost(failed('EMFILE'))).toBe(false);
});
