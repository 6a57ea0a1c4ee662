/** The order that LevelDB keeps keys in: that of their bytes. */

/** As strings compare, but for characters that follow the surrogates: those are UTF-16 units in another order. */
export function byBytes(a: string, b: string): number {
  if (UNLIKE.test(a) || UNLIKE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a === b ? 0 : a < b ? -1 : 1;
}

const UNLIKE = /[\ud800-\uffff]/;
