/**
 * Text that comes in pieces, as lines. The pieces may be cut anywhere, as those of a file are, or be lines, with or
 * without their line feed: behind a whole object of JSON there can be nothing but the end of its line, so a piece that
 * completes one ends it.
 */
import { TextDecoder } from 'node:util';
import { invalidOption } from '../errors.js';

export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

/** A line has to fit into memory several times, and a string of V8 holds not much more. */
const MAX_LENGTH = 1 << 28;

/** Without empty ones. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export async function* linesOf(
  pieces: AsyncIterable<unknown> | Iterable<unknown>,
): AsyncGenerator<Line, undefined> {
  const decoder = new TextDecoder();
  let number = 1;
  let rest = '';
  for await (const piece of pieces) {
    const [first = '', ...others] = textOf(piece, decoder).split('\n');
    // Joined only where it is looked at: a line of many pieces is not copied once for each.
    rest += first;
    for (const next of others) {
      yield* line(number++, rest);
      rest = next;
    }
    if (rest.length > MAX_LENGTH)
      throw invalidOption('lines', `lines of at most ${MAX_LENGTH} characters`, rest);
    if (typeof piece === 'string' && piece.trimEnd().endsWith('}') && isWhole(rest)) {
      yield* line(number++, rest);
      rest = '';
    }
  }
  yield* line(number, rest + decoder.decode());
}

function* line(number: number, text: string): Generator<Line> {
  if (text.trim() !== '') yield { number, text };
}

function textOf(piece: unknown, decoder: TextDecoder): string {
  if (typeof piece === 'string') return piece;
  if (piece instanceof Uint8Array) return decoder.decode(piece, { stream: true });
  throw invalidOption('lines', 'strings, or bytes', piece);
}

function isWhole(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // The rest of it is still to come.
  }
}
