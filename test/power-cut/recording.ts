/** A recording, read back: what happened to the journal, and what was known at each moment. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseFacts, type Recorded } from '../crash/facts.js';
import { bytesAfter, History, type Look, type Write } from './history.js';
import { FACTS, JOURNAL, layout, PROCESSES } from './recorder.js';
import { Trace, type Call } from './trace.js';

export interface Recording {
  readonly history: History;
  /** The line behind the last one of each process. */
  readonly ends: readonly number[];
}

/** @throws Error where the trace does not lead to the files that the processes left. */
export async function readRecording(directory: string): Promise<Recording> {
  const root = await realpath(directory);
  const { trace, left } = layout(root);
  const history = new History(root);
  const ends: number[] = [];
  for (let process = 1; process <= PROCESSES; process++) {
    const look = lookInto(left(process));
    ends.push(await readTrace(history, trace(process), ends.at(-1) ?? 0, look));
    assertComplete(history, left(process));
  }
  return { history, ends };
}

/** @returns the line behind the last. */
async function readTrace(history: History, file: string, line: number, look: Look): Promise<number> {
  const pending: Call[] = [];
  const trace = new Trace(line, (call) => {
    if (call.endedAt === Infinity) pending.push(call);
    else history.apply(call);
  });
  const lines = await open(file);
  try {
    for await (const text of lines.readLines()) trace.read(text);
  } finally {
    await lines.close();
  }
  trace.end();
  for (const call of pending) history.settle(call, look);
  history.died();
  return trace.line;
}

const lookInto =
  (left: string): Look =>
  (name) => {
    const file = join(left, relative(JOURNAL, name));
    return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file) : undefined;
  };

/** What the trace has missed, a cut could not take away. */
function assertComplete({ names }: History, left: string): void {
  const there = readdirSync(left, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(JOURNAL, relative(left, join(entry.parentPath, entry.name))));
  const traced = [...names.keys()].filter(isJournal);
  const wrong = [...new Set([...there, ...traced])].filter((name) => {
    const file = names.get(name);
    return !file || !lookInto(left)(name)?.equals(bytesAfter(file.writes));
  });
  if (wrong.length > 0) throw new Error(`The trace does not lead to what is in ${left}: ${wrong.join(', ')}`);
}

export const isJournal = (name: string): boolean => name.startsWith(`${JOURNAL}/`);

const factWrites = ({ names }: History): readonly Write[] => names.get(FACTS)?.writes ?? [];

/** What was known when the power was cut, and the story of the processes until then. @param at A line of the trace. */
export function factsUntil({ history, ends }: Recording, at: number): Recorded[] {
  const facts: Recorded[] = [];
  for (const [i, end] of ends.entries()) {
    const from = ends[i - 1] ?? 0;
    if (from > at) break;
    const known = factWrites(history).filter(({ beganAt }) => beganAt >= from && beganAt < Math.min(at, end));
    const own = parseFacts(Buffer.concat(known.map(({ bytes }) => bytes)).toString());
    facts.push({ at: own[0]?.at ?? facts.at(-1)?.at ?? 0, kind: 'spawned', cycle: i + 1, role: 'workload' });
    facts.push(...own);
    const moment = end < at ? 'and the machine goes on' : `power cut before line ${at} of the trace`;
    facts.push({ at: own.at(-1)?.at ?? 0, kind: 'killed', moment });
  }
  return facts;
}

const ACKNOWLEDGED = /"kind":"(enqueued|ended)"/;

/** The lines at which something was acknowledged. */
export const acknowledgements = ({ history }: Recording): number[] =>
  factWrites(history).flatMap(({ bytes, beganAt }) => (ACKNOWLEDGED.test(bytes.toString()) ? [beganAt] : []));
