import * as fc from 'fast-check';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { asError, messageOf, MillraceError, show, UnrecoverableError } from '../../src/errors.js';
import {
  askedDelay,
  decodeError,
  encodeError,
  fromErrorData,
  isErrorData,
  isUnrecoverable,
  toErrorData,
  type ErrorData,
} from '../../src/job/error-data.js';
import { HOSTILE, hostile, revoked } from '../fixtures/hostile.js';
import { twice } from '../fixtures/values.js';

/** A thrown value as it comes out of the journal. */
const travel = (thrown: unknown): Error => fromErrorData(decodeError(encodeError(thrown)));
/** The same, as data. */
const dataOf = (thrown: unknown): ErrorData => decodeError(encodeError(thrown));

class DeclinedError extends Error {
  override readonly name = 'DeclinedError';
  readonly code = 'E_DECLINED';
  readonly card: object;

  constructor(message: string, card: object, options?: ErrorOptions) {
    super(message, options);
    this.card = card;
  }
}

test('an error keeps its name, message, stack, code, cause and properties', () => {
  const error = new DeclinedError(
    'declined',
    { last4: '1881', seen: new Map([['a', 1]]) },
    { cause: new RangeError('low') },
  );
  const back = travel(error);
  expect(back).toBeInstanceOf(Error);
  expect(back).toMatchObject({
    name: 'DeclinedError',
    message: 'declined',
    stack: error.stack,
    code: 'E_DECLINED',
    card: { last4: '1881', seen: new Map([['a', 1]]) },
    cause: { name: 'RangeError', message: 'low' },
  });
  expect(String(back)).toBe('DeclinedError: declined');
});

test('a chain of causes is kept link by link', () => {
  const back = travel(
    new Error('a', { cause: new Error('b', { cause: new TypeError('c', { cause: 'd' }) }) }),
  );
  expect(back).toMatchObject({
    cause: { message: 'b', cause: { name: 'TypeError', message: 'c', cause: 'd' } },
  });
});

test.each([[null], [0], [''], [false], [{ reason: 'x' }]])(
  'a cause that is no error is kept: %j',
  (cause) => {
    expect(travel(new Error('e', { cause })).cause).toStrictEqual(cause);
  },
);

test('an error without a cause gets none', () => {
  expect('cause' in travel(new Error('e'))).toBe(false);
});

test('an AggregateError keeps its errors', () => {
  const back = travel(
    new AggregateError([new TypeError('one'), 'two', runInNewContext('new RangeError("three")')], 'all'),
  );
  expect(back).toBeInstanceOf(AggregateError);
  expect(back).toMatchObject({
    message: 'all',
    errors: [
      { name: 'TypeError', message: 'one' },
      { message: '"two"' },
      { name: 'RangeError', message: 'three' },
    ],
  });
});

test("an error with one of Millrace's codes comes back as a MillraceError", () => {
  const back = travel(new UnrecoverableError('no', { cause: new Error('why') }));
  expect(back).toBeInstanceOf(MillraceError);
  expect(back).toMatchObject({
    code: 'MILLRACE_UNRECOVERABLE',
    name: 'UnrecoverableError',
    cause: { message: 'why' },
  });
});

test.each([
  ['a string', 'boom', '"boom"'],
  ['undefined', undefined, 'undefined'],
  ['null', null, 'null'],
  ['an object', { a: 1 }, 'an instance of Object'],
  ['an object without a prototype', Object.create(null), 'an instance of Object'],
  ['a function', Math.max, 'function max'],
  ['a symbol', Symbol('s'), 'Symbol(s)'],
])('%s that was thrown is described, with a code that says so', (_what, thrown: unknown, shown) => {
  const data = dataOf(thrown);
  expect(data.code).toBe('MILLRACE_HANDLER_THREW_NON_ERROR');
  expect(data.message).toBe(`Expected the handler to throw an Error, got: ${shown}`);
});

test('a thrown value that can be stored is the cause', () => {
  expect(travel({ status: 404 }).cause).toStrictEqual({ status: 404 });
});

test('an error of another realm is an error', () => {
  const foreign: unknown = runInNewContext('Object.assign(new TypeError("far"), { code: 7 })');
  expect(travel(foreign)).toMatchObject({ name: 'TypeError', message: 'far', code: 7 });
});

test.each([
  ['message', { message: 'x'.repeat(1e6) }],
  ['stack', { stack: 'x'.repeat(1e6) }],
  ['name', { name: 'x'.repeat(1e6) }],
  ['code', { code: 'x'.repeat(1e6) }],
  ['property', { body: 'x'.repeat(1e6) }],
  ['bigint as a property', { count: 2n ** 8_000_000n }],
  ['name of a property', { ['x'.repeat(1e6)]: 1 }],
  [
    'number of properties',
    Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`p${i}`, 'x'.repeat(1_000)])),
  ],
  ['cause', { cause: 'x'.repeat(1e6) }],
  ['function as a property', { run: Object.defineProperty(() => 1, 'name', { value: 'x'.repeat(1e6) }) }],
])('a huge %s is cut', (_what, fields: object) => {
  const error = new Error('short');
  for (const [key, value] of Object.entries(fields))
    Object.defineProperty(error, key, { value, enumerable: true });
  expect(encodeError(error).byteLength).toBeLessThan(200_000);
});

test('small properties are kept beside a huge one', () => {
  const error = Object.assign(new Error('e'), { status: 500, body: 'x'.repeat(1e6), path: '/a' });
  const { properties } = dataOf(error);
  expect(properties).toMatchObject({ status: 500, path: '/a' });
  expect(String(properties?.['body']).length).toBeLessThan(100);
});

test('a property that takes more than it may is not looked at to its end', () => {
  const error = Object.assign(new Error('large'), { often: twice({}, 450), cause: twice({}, 450) });
  expect(toErrorData(error)).toMatchObject({
    cause: { value: 'an instance of Object' },
    properties: { often: 'an instance of Object' },
  });
});

test('a property that cannot be stored is kept as its description', () => {
  const error = Object.assign(new Error('e'), {
    socket: new AbortController(),
    retry: () => 1,
    id: Symbol('x'),
  });
  expect(dataOf(error).properties).toStrictEqual({
    socket: 'an instance of AbortController',
    retry: 'function retry',
    id: 'Symbol(x)',
  });
});

test('a property nested as deep as can be stored does not lose the error', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 499; i++) deep = [deep];
  expect(dataOf(Object.assign(new Error('e'), { code: 'E_DEEP', deep }))).toMatchObject({
    message: 'e',
    code: 'E_DEEP',
  });
});

test('causes that form a ring come to an end', () => {
  const first = new Error('first');
  const second = new Error('second', { cause: first });
  first.cause = second;
  expect(dataOf(first)).toMatchObject({
    message: 'first',
    cause: { message: 'second', cause: { message: 'first' } },
  });
});

test('an AggregateError that contains itself comes to an end', () => {
  const errors: unknown[] = [];
  const error = new AggregateError(errors, 'ring');
  error.errors.push(error);
  expect(dataOf(error)).toMatchObject({ message: 'ring', errors: [{ message: 'ring' }] });
});

test.each(['name', 'message', 'stack', 'code', 'cause', 'errors', 'detail'])(
  'a getter of %s that throws does not lose the rest of the error',
  (key) => {
    const error = Object.assign(new TypeError('kept'), { status: 1 });
    Object.defineProperty(error, key, {
      enumerable: true,
      get() {
        throw new Error('getter');
      },
    });
    const data = dataOf(error);
    expect(data.properties).toMatchObject({ status: 1 });
    if (key !== 'message') expect(data.message).toBe('kept');
    expect(isUnrecoverable(error)).toBe(false);
  },
);

test('a thrown proxy that refuses everything is described', () => {
  const { proxy, revoke } = Proxy.revocable(new Error('e'), {});
  revoke();
  expect(dataOf(proxy).code).toBe('MILLRACE_HANDLER_THREW_NON_ERROR');
  expect(isUnrecoverable(proxy)).toBe(false);
});

test('a message that is no string is described', () => {
  const error = new Error('x');
  Object.assign(error, { message: { reason: 'why' }, name: 7, stack: null });
  expect(dataOf(error)).toStrictEqual({ name: 'Error', message: 'an instance of Object' });
});

test('an error is told to be unrecoverable by its code, whatever its class', () => {
  expect(isUnrecoverable(new UnrecoverableError('x'))).toBe(true);
  expect(isUnrecoverable(Object.assign(new Error('x'), { code: 'MILLRACE_UNRECOVERABLE' }))).toBe(true);
  expect(isUnrecoverable({ code: 'MILLRACE_UNRECOVERABLE' })).toBe(false);
  expect(isUnrecoverable(new Error('x'))).toBe(false);
  expect(isUnrecoverable(undefined)).toBe(false);
});

test('the data of an error is its own: changing the error later does not change it', () => {
  const error = Object.assign(new Error('e'), { list: [1] });
  const bytes = encodeError(error);
  error.list.push(2);
  expect(decodeError(bytes).properties).toStrictEqual({ list: [1] });
});

test('whatever is shown in a message is short', () => {
  const named = Object.defineProperty(class extends Date {}, 'name', { value: 'x'.repeat(1e5) });
  for (const value of ['x'.repeat(1e5), 2n ** 1_000_000n, Symbol('x'.repeat(1e5)), named, new named()]) {
    expect(show(value).length).toBeLessThan(120);
  }
  expect(toErrorData(2n ** 1_000_000n).message.length).toBeLessThan(200);
});

/** Made when it is asked for: fast-check looks at its values. */
type Made = () => unknown;

/** Errors of any shape that hold what throws when it is looked at, wherever something can lie. */
function anyThrown(): fc.Arbitrary<Made> {
  const { thrown } = fc.letrec<{ thrown: Made }>((tie) => {
    const any = tie('thrown');
    const code = fc.constantFrom<Made>(
      () => 'MILLRACE_RETRY_AFTER',
      () => 'MILLRACE_TIMEOUT',
    );
    const errors = fc.array(any, { maxLength: 10 }).map(
      (some): Made =>
        () =>
          some.map((make) => make()),
    );
    const fields = {
      name: any,
      message: any,
      stack: any,
      code: fc.oneof(any, code),
      delayMs: any,
      cause: any,
      errors: fc.oneof(any, errors),
      constructor: any,
      detail: any,
    };
    return {
      thrown: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(...HOSTILE).map(
          (what): Made =>
            () =>
              hostile[what](),
        ),
        fc.anything().map(
          (value): Made =>
            () =>
              value,
        ),
        fc.record(fields, { requiredKeys: [] }).map(
          (given): Made =>
            () =>
              errorWith(given),
        ),
      ),
    };
  });
  return thrown;
}

function errorWith(fields: Partial<Record<string, Made>>): Error {
  const error = new Error('e');
  // Whoever replaces it has it made first, of what the error says by then.
  if (fields['stack']) expect(error.stack).toContain('Error: e');
  for (const [key, make] of Object.entries(fields))
    Object.defineProperty(error, key, { value: make?.(), enumerable: true });
  return error;
}

test('whatever was thrown becomes data, and an error again', () => {
  fc.assert(
    fc.property(anyThrown(), (make) => {
      const thrown = make();
      const data = decodeError(encodeError(thrown));
      expect(isErrorData(data)).toBe(true);
      const back = fromErrorData(data);
      expect(back.name).toBe(data.name);
      expect(back.message).toBe(data.message);
      expect(typeof messageOf(thrown)).toBe('string');
      expect(typeof show(thrown)).toBe('string');
      const error = asError(thrown);
      // The matchers look at what they are given.
      expect(error instanceof Error).toBe(true);
      expect(typeof messageOf(error)).toBe('string');
      isUnrecoverable(thrown);
      askedDelay(thrown);
    }),
    { numRuns: 500 },
  );
});

test.each(HOSTILE)('what throws when it is looked at becomes data: %s', (what) => {
  expect(isErrorData(dataOf(hostile[what]()))).toBe(true);
  expect(typeof messageOf(asError(hostile[what]()))).toBe('string');
});

test('the errors beside one that cannot be looked at are kept', () => {
  const error = new AggregateError([revoked(), new TypeError('two')], 'all');
  expect(travel(error)).toMatchObject({
    errors: [{ message: 'an object that cannot be looked into' }, { name: 'TypeError', message: 'two' }],
  });
});

test('a property that is another at each look is kept as it was at one', () => {
  expect(dataOf(hostile.propertyOnce()).properties).toStrictEqual({ item: { a: 1 } });
  expect(encodeError(hostile.propertyGrows()).byteLength).toBeLessThan(20_000);
});
