/** What becomes of a payload on its way in, and on its way to its handler: the job type's rules, without any engine. */
import * as fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { PayloadInvalidError } from '../../src/errors.js';
import { decode, encode } from '../../src/job/codec.js';
import {
  acceptEncoded,
  acceptPayload,
  isGivenAsStored,
  preparedPayload,
  type PayloadRules,
} from '../../src/job/payload.js';
import { HOSTILE, hostile, revoked } from '../fixtures/hostile.js';
import { specOf } from '../fixtures/jobs.js';
import { lateNumbersFrom, numbersFrom, schemaThat } from '../fixtures/schemas.js';
import { anyStorable } from '../fixtures/values.js';

const rules = (fields: Partial<PayloadRules> = {}): PayloadRules => ({
  name: 'work',
  version: 1,
  maxPayloadBytes: 1_048_576,
  ...fields,
});

const stored = (payload: unknown, payloadVersion?: number) =>
  specOf(1, { payload: encode(payload), ...(payloadVersion !== undefined && { payloadVersion }) });

async function refusal(act: () => unknown): Promise<PayloadInvalidError> {
  try {
    await act();
  } catch (thrown) {
    if (thrown instanceof PayloadInvalidError) return thrown;
    throw thrown;
  }
  throw new Error('Expected a refusal');
}

/** Accepts anything, as a copy. */
const copies = schemaThat<unknown>((value) => ({ value: decode(encode(value)) }));

test('whatever can be stored is stored as it was given, and given as the schema makes it', () => {
  fc.assert(
    fc.property(anyStorable(), fc.boolean(), (payload, isEncoded) => {
      const own = rules({ schema: copies });
      const bytes = isEncoded ? acceptEncoded(own, encode(payload)) : acceptPayload(own, payload);
      // Not byte for byte: V8 writes a string as it happens to keep it.
      expect(isDeepStrictEqual(decode(bytes as Uint8Array), payload)).toBe(true);
      const given = preparedPayload(own, stored(payload)) as Uint8Array;
      expect(isDeepStrictEqual(decode(given), payload)).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a payload may take as many bytes as its type says, and not one more', async () => {
  for (const payload of ['x'.repeat(200), { list: [1, 2] }, new Uint8Array(500)]) {
    const { byteLength } = encode(payload);
    const [exact, less] = [byteLength, byteLength - 1].map((maxPayloadBytes) => rules({ maxPayloadBytes }));
    expect(acceptPayload(exact ?? rules(), payload)).toStrictEqual(encode(payload));
    expect(acceptEncoded(exact ?? rules(), encode(payload))).toStrictEqual(encode(payload));
    for (const accept of [
      () => acceptPayload(less ?? rules(), payload),
      () => acceptEncoded(less ?? rules(), encode(payload)),
    ]) {
      const { code, message, issues } = await refusal(accept);
      expect({ code, issues }).toEqual({ code: 'MILLRACE_PAYLOAD_INVALID', issues: [] });
      expect(message).toContain(`at most ${byteLength - 1} bytes, got ${byteLength} bytes`);
      expect(message).toContain('`maxPayloadBytes` of job type work');
    }
  }
});

test('a payload that is too large is not shown to the schema', async () => {
  let asked = 0;
  const schema = schemaThat((value) => {
    asked++;
    return { value };
  });
  await refusal(() => acceptPayload(rules({ schema, maxPayloadBytes: 5 }), 'too large'));
  expect(asked).toBe(0);
});

test('without a schema, and of this version, a payload is given as it is stored', () => {
  expect(isGivenAsStored(rules(), stored(1))).toBe(true);
  expect(isGivenAsStored(rules({ version: 2 }), stored(1, 2))).toBe(true);
  expect(isGivenAsStored(rules({ version: 2 }), stored(1))).toBe(false);
  expect(isGivenAsStored(rules({ schema: copies }), stored(1))).toBe(false);
});

test('a refusal lists the first issues with their paths, and holds all of them', async () => {
  const schema = v.object({
    to: v.pipe(v.string(), v.email()),
    'odd key': v.number(),
    lines: v.array(v.object({ price: v.number() })),
  });
  const payload = { to: 'nobody', 'odd key': 'x', lines: [{ price: 1 }, { price: 'dear' }, {}] };
  const { message, issues, code } = await refusal(() => acceptPayload(rules({ schema }), payload));
  expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
  expect(message).toContain('the schema of job type work accepts: ');
  expect(message).toMatch(
    / at payload\.to; .* at payload\["odd key"\]; .* at payload\.lines\[1\]\.price; and 1 more$/,
  );
  expect(issues.map(({ path }) => path)).toEqual([
    ['to'],
    ['odd key'],
    ['lines', 1, 'price'],
    ['lines', 2, 'price'],
  ]);
});

test('an issue keeps its message and its path, whatever a validator hangs on it', async () => {
  const issue = { message: 'no', path: ['a', Symbol('b'), { key: 0 }], input: () => 1, requirement: /x/ };
  const schema = schemaThat(() => ({ issues: [issue] }));
  const { issues } = await refusal(() => acceptPayload(rules({ schema }), 1));
  expect(issues).toStrictEqual([{ message: 'no', path: ['a', 'Symbol(b)', 0] }]);
});

const broken = new RangeError('broken');
const thenable = {
  // What a promise of another library is.
  // oxlint-disable-next-line unicorn/no-thenable
  then: (resolve: (value: unknown) => void) => resolve({ issues: [{ message: 'then' }] }),
};

test.each([
  ['throws', () => Promise.reject(broken), 'threw: broken', broken],
  [
    'throws at once',
    () => {
      throw broken;
    },
    'threw: broken',
    broken,
  ],
  ['answers with nothing', () => undefined, '{ value } or { issues }', expect.any(TypeError)],
  [
    'answers with no list of issues',
    () => ({ issues: 'many' }),
    'an array, got: "many"',
    expect.any(TypeError),
  ],
  [
    'makes what cannot be stored',
    () => ({ value: { at: new URL('file:///') } }),
    'an instance of URL at',
    undefined,
  ],
  ['answers later, by a promise that is none of this realm', () => thenable, 'then at payload', undefined],
])('a schema that %s refuses the payload', async (_what, validate, says, cause) => {
  const schema = schemaThat(validate as never);
  for (const act of [
    () => acceptPayload(rules({ schema }), 1),
    () => acceptEncoded(rules({ schema }), encode(1)),
    () => preparedPayload(rules({ schema }), stored(1)),
  ]) {
    const error = await refusal(act);
    expect(error.message).toContain(says);
    expect(error.cause).toEqual(cause);
  }
});

test('only a schema that gives a promise makes anybody wait', async () => {
  expect(acceptPayload(rules({ schema: numbersFrom(1) }), 1)).toStrictEqual(encode(1));
  const late = acceptPayload(rules({ schema: lateNumbersFrom(1) }), 1);
  expect(late).toBeInstanceOf(Promise);
  expect(await late).toStrictEqual(encode(1));
  expect((await refusal(() => acceptPayload(rules({ schema: lateNumbersFrom(1) }), 0))).issues).toHaveLength(
    1,
  );
});

test('what is stored while a schema takes its time is what was given before', async () => {
  const payload = { of: 1 };
  const schema = schemaThat(async (value) => ({ value }));
  const accepting = acceptPayload(rules({ schema }), payload);
  payload.of = 2;
  expect(decode(await accepting)).toEqual({ of: 1 });
});

test('an older payload is upgraded from its version, and then checked', async () => {
  const schema = v.object({ width: v.optional(v.number(), 800), from: v.number() });
  const upgrade = (payload: unknown, from: number) => ({ ...(payload as object), from });
  const own = rules({ schema, version: 3, upgrade });
  const given = async (payload: unknown, version?: number): Promise<unknown> =>
    decode(await preparedPayload(own, stored(payload, version)));
  expect(await given({})).toEqual({ width: 800, from: 1 });
  expect(await given({ width: 5 }, 2)).toEqual({ width: 5, from: 2 });
  expect(await given({ from: 9 }, 3)).toEqual({ width: 800, from: 9 });
  const late = rules({ ...own, upgrade: async (payload, from) => upgrade(payload, from) });
  expect(decode(await preparedPayload(late, stored({})))).toEqual({ width: 800, from: 1 });
  const { message } = await refusal(() => preparedPayload(own, stored({ width: 'wide' })));
  expect(message).toContain('payload upgraded from version 1 that the schema of job type work accepts');
});

test('without a schema an upgraded payload is given as it was upgraded', async () => {
  const own = rules({ version: 2, upgrade: (payload, from) => ({ payload, from }) });
  expect(decode(await preparedPayload(own, stored('old')))).toEqual({ payload: 'old', from: 1 });
});

test.each([
  ['throws', () => Promise.reject(broken), 'threw: broken', broken],
  [
    'throws at once',
    () => {
      throw broken;
    },
    'threw: broken',
    broken,
  ],
  ['makes what cannot be stored', () => ({ call: () => 1 }), '.call', undefined],
])('an upgrade that %s refuses the payload', async (_what, upgrade, says, cause) => {
  const error = await refusal(() => preparedPayload(rules({ version: 2, upgrade }), stored(1)));
  expect(error.message).toContain(says);
  expect(error.cause).toBe(cause);
});

test.each(HOSTILE)('a schema or an `upgrade` that throws %s is a refusal', async (what) => {
  const thrower = (): never => {
    throw hostile[what]();
  };
  for (const fields of [{ schema: schemaThat<unknown>(thrower) }, { version: 2, upgrade: thrower }])
    for (const [name, act] of Object.entries(fields)) {
      const now = await refusal(() => preparedPayload(rules(fields), stored(1)));
      expect([name, now.code, now.cause]).toEqual([name, 'MILLRACE_PAYLOAD_INVALID', expect.any(Error)]);
      expect(act).toBeDefined();
    }
  const later = rules({ version: 2, upgrade: () => Promise.resolve().then(thrower) });
  expect((await refusal(() => preparedPayload(later, stored(1)))).cause).toBeInstanceOf(Error);
});

test.each([
  ['a revoked proxy', revoked()],
  ['a value that was revoked', { value: revoked() }],
  ['issues that were revoked', { issues: revoked([]) }],
  ['an issue that was revoked', { issues: [revoked()] }],
  ['an issue with a message that is none', { issues: [{ message: Object.create(null) as unknown }] }],
  [
    'an issue with a path of anything',
    { issues: [{ message: 'no', path: [revoked(), { key: revoked() }] }] },
  ],
])('a schema that answers %s refuses the payload', async (_what, answer) => {
  const schema = schemaThat<unknown>(() => answer as never); // That is the fault.
  expect((await refusal(() => preparedPayload(rules({ schema }), stored(1)))).code).toBe(
    'MILLRACE_PAYLOAD_INVALID',
  );
});
