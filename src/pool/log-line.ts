/** What handlers log, made into lines that can be handed on: whatever they give, a line of the log fails no job. */
import { types } from 'node:util';
import { messageOf, show } from '../errors.js';
import { isErrorLike } from '../job/error-data.js';
import type { LogLine } from './contract.js';

/**
 * JavaScript may give anything, such as the fields first, which is the order of many loggers; and an error instead of either.
 */
export function lineOf(first: unknown, second: unknown): Pick<LogLine, 'message' | 'fields'> {
  if (isErrorLike(first)) {
    if (typeof second === 'string') return { message: second, fields: { err: first } };
    const others = second === undefined ? {} : fieldsOf(second);
    return { message: messageOf(first), fields: { ...others, err: first } };
  }
  const isTurned = typeof first === 'object' && typeof second === 'string';
  const [message, rest = {}] = isTurned ? [second, first] : [first, second];
  return { message: typeof message === 'string' ? message : show(message), fields: fieldsOf(rest) };
}

/** Fields of a copy's own, whose getters have been called. */
function fieldsOf(given: unknown): Record<string, unknown> {
  if (typeof given !== 'object' || given === null) return { value: given };
  if (isErrorLike(given)) return { err: given };
  try {
    return Object.fromEntries(Object.entries(given));
  } catch {
    return readableOf(given);
  }
}

/** For what throws when it is looked at: each field that can be read. */
function readableOf(given: object): Record<string, unknown> {
  let names: string[];
  try {
    names = Object.keys(given);
  } catch (thrown) {
    return { value: `an object whose fields cannot be read: ${messageOf(thrown)}` };
  }
  return Object.fromEntries(names.map((name) => [name, read(given, name)]));
}

function read(given: object, name: string): unknown {
  try {
    // Safe: an object has names, and of what they name nothing is known.
    return (given as Record<string, unknown>)[name];
  } catch (thrown) {
    return `a field that cannot be read: ${messageOf(thrown)}`;
  }
}

/** Log fields may hold anything; what cannot cross to another thread is logged as its description. */
export const cloneable = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, cloneableValue(value)]));

function cloneableValue(value: unknown): unknown {
  // Most are, and need no copy.
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  try {
    // Of what is an error by its prototype alone, such as the reason of an aborted signal, a copy would have nothing.
    return structuredClone(isErrorLike(value) && !types.isNativeError(value) ? nativeError(value) : value);
  } catch {
    return show(value);
  }
}

function nativeError({ name, message, stack }: Error): Error {
  const error = new Error(message);
  return Object.assign(error, { name, stack });
}
