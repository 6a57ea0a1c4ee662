/** Traces for tests, as strace writes them. */
import { History } from './history.js';
import { Trace, type Call } from './trace.js';

export const ROOT = '/data';

const hex = (text: string): string =>
  `"${[...Buffer.from(text)].map((byte) => String.raw`\x` + byte.toString(16).padStart(2, '0')).join('')}"`;

/** Lines of a trace, with strings in plain text: `write(3, 'abc', 3) = 3`. */
const lineOf = (line: string): string => line.replaceAll(/'([^']*)'/g, (_match, text: string) => hex(text));

export function callsOf(...lines: readonly string[]): Call[] {
  const calls: Call[] = [];
  const trace = new Trace(0, (call) => calls.push(call));
  for (const line of lines) trace.read(lineOf(line));
  trace.end();
  return calls;
}

/** What one thread did, call by call; each is one line. */
export function historyOf(...calls: readonly string[]): History {
  const history = new History(ROOT);
  for (const call of callsOf(...calls.map((text) => `7 ${text}`))) history.apply(call);
  return history;
}

export const create = (name: string, descriptor: number): string =>
  `openat(AT_FDCWD, '${ROOT}/${name}', O_WRONLY|O_CREAT|O_TRUNC, 0666) = ${descriptor}`;

export const write = (descriptor: number, text: string): string =>
  `write(${descriptor}, '${text}', ${text.length}) = ${text.length}`;

export const sync = (descriptor: number): string => `fdatasync(${descriptor})       = 0`;
