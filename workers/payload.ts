/**
 * Checks the payload of a ready-made worker. A payload may have been enqueued by JavaScript, by another version
 * of the app, or long ago, so its TypeScript type is only a hope. What is refused is refused for good, with an
 * error that says what was expected, where, and what came.
 */
import { UnrecoverableError } from '../src/errors.js';

/** Throws when `value`, found at `where` in the payload, is not what was expected. */
export type Check = (value: unknown, where: string) => void;

/** "Expected `outputs[0].quality` to be an integer from 1 to 100, got: 0". */
export function unexpected(where: string, expected: string, got: unknown): UnrecoverableError {
  return new UnrecoverableError(`Expected \`${where}\` to be ${expected}, got: ${show(got)}`);
}

export const text: Check = (value, where) => {
  if (typeof value !== 'string') throw unexpected(where, 'a string', value);
};

export const path: Check = (value, where) => {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw unexpected(where, "a file's path", value);
  }
};

export const bytes: Check = (value, where) => {
  if (!(value instanceof Uint8Array) || value.length === 0) {
    throw unexpected(where, 'bytes (a Uint8Array that is not empty)', value);
  }
};

export const pathOrBytes: Check = (value, where) => {
  if (typeof value === 'string') path(value, where);
  else if (value instanceof Uint8Array) bytes(value, where);
  else throw unexpected(where, "a file's path or bytes (a Uint8Array)", value);
};

export const flag: Check = (value, where) => {
  if (typeof value !== 'boolean') throw unexpected(where, 'true or false', value);
};

export function integer(min: number, max: number): Check {
  return (value, where) => {
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
      throw unexpected(where, `an integer from ${count(min)} to ${count(max)}`, value);
    }
  };
}

/** A finite number; `unit` is named in the message. */
export function amount(min: number, max: number, unit: string): Check {
  return (value, where) => {
    if (!Number.isFinite(value) || Number(value) < min || Number(value) > max) {
      throw unexpected(where, `a number of ${unit} from ${count(min)} to ${count(max)}`, value);
    }
  };
}

export function oneOf(choices: readonly string[]): Check {
  return (value, where) => {
    if (typeof value !== 'string' || !choices.includes(value)) {
      throw unexpected(where, `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`, value);
    }
  };
}

export function optional(check: Check): Check {
  return (value, where) => {
    if (value !== undefined) check(value, where);
  };
}

export function list(of: Check, minLength = 0): Check {
  return (value, where) => {
    if (!Array.isArray(value) || value.length < minLength) {
      throw unexpected(where, minLength > 0 ? `an array of at least ${minLength}` : 'an array', value);
    }
    for (const [index, item] of value.entries()) of(item, `${where}[${index}]`);
  };
}

export function shape(fields: Readonly<Record<string, Check>>): Check {
  return (value, where) => {
    if (!isObject(value)) throw unexpected(where, 'an object', value);
    for (const [name, check] of Object.entries(fields)) {
      check(value[name], where === 'payload' ? name : `${where}.${name}`);
    }
  };
}

/** An object whose `type` says which of the shapes it has. */
export function tagged(shapes: Readonly<Record<string, Check>>): Check {
  const type = oneOf(Object.keys(shapes));
  return (value, where) => {
    if (!isObject(value)) throw unexpected(where, 'an object', value);
    type(value['type'], `${where}.type`);
    shapes[String(value['type'])]?.(value, where);
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as a message shows it: short, and never throwing itself. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
  if (value instanceof Uint8Array) return `${count(value.length)} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}

/** A number as a reader likes it: 128,000,000. */
export function count(value: number): string {
  return value.toLocaleString('en');
}
