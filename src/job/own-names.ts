/**
 * Finds the properties that something has besides what it holds as the array, map, set, date, buffer or view that it is:
 * no format keeps them.
 */
import { isDeepStrictEqual, types } from 'node:util';

/** Of a longer list, all its indexes as strings would take longer than to compare it with a copy. */
const MAX_LISTED_KEYS = 1_000;
const AN_INDEX = /^(?:0|[1-9]\d{0,9})$/;
const MAX_INDEX = 2 ** 32 - 2;

/** @param keys Where they are known: its own that are enumerable. */
export function ownNameOf(value: object, keys?: readonly string[]): string | symbol | undefined {
  if (!keys && isLong(value) && isDeepStrictEqual(value, withoutNames(value))) return undefined;
  // Indexes come first.
  const last = (keys ?? Object.keys(value)).at(-1);
  if (last !== undefined && !(isList(value) && isIndex(last))) return last;
  return Object.getOwnPropertySymbols(value).find((symbol) =>
    Object.prototype.propertyIsEnumerable.call(value, symbol),
  );
}

export const isIndex = (key: string): boolean => AN_INDEX.test(key) && Number(key) <= MAX_INDEX;

type List = unknown[] | NodeJS.TypedArray;

const isList = (value: object): value is List => Array.isArray(value) || types.isTypedArray(value);

const isLong = (value: object): value is List => isList(value) && value.length > MAX_LISTED_KEYS;

/** The same elements; of a view the same memory. */
const withoutNames = (list: List): List => (Array.isArray(list) ? list.slice() : list.subarray());
