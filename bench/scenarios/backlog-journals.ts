/** The journals of the backlog scenario: made once, opened many times. */
import { closeSync, cpSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from '../measure/child.js';
import type { BacklogSetup, FillTurn } from '../probes/backlog.js';
import type { Stage } from './stage.js';

export interface Journal {
  readonly name: string;
  readonly directory: string;
  /** Why there is none. */
  readonly missing?: string;
}

export interface Wanted {
  readonly name: string;
  readonly jobs: number;
  readonly delayed?: boolean;
  /** Keeps it, too, as it is when the process that filled it is killed; its name then ends in `killed`. */
  readonly killed?: boolean;
}

/** @returns the journal, and the killed one where it is wanted. */
export async function fill(
  stage: Stage,
  { name, jobs, delayed = false, killed = false }: Wanted,
  forMs: number,
): Promise<Journal[]> {
  const directory = stage.workspace.directory(`backlog-${name}`);
  try {
    const child = await probe(stage, directory, 'fill');
    const made = await child.turn<number>({ jobs, delayed, forMs } satisfies FillTurn);
    await (killed ? child.kill() : child.stop());
    if (made < jobs) {
      return [{ name, directory, missing: `only ${made} jobs were made in ${Math.round(forMs / 1_000)} s` }];
    }
    return [{ name, directory }, ...(killed ? [await keepKilled(stage, name, directory)] : [])];
  } catch (thrown) {
    return [{ name, directory, missing: thrown instanceof Error ? thrown.message : String(thrown) }];
  }
}

/** Copies it as it is, then opens and closes it in its own place. */
async function keepKilled(stage: Stage, name: string, directory: string): Promise<Journal> {
  const kept = stage.workspace.directory(`backlog-${name}-killed`);
  cpSync(directory, kept, { recursive: true });
  await ask(stage, directory, 'open');
  return { name: `${name} killed`, directory: kept };
}

/** A process of that role, asked one thing. */
export async function ask<A>(
  stage: Stage,
  directory: string,
  role: BacklogSetup['role'],
  turn: object = {},
): Promise<A> {
  const child = await probe(stage, directory, role);
  try {
    return await child.turn<A>(turn);
  } finally {
    await child.stop();
  }
}

/** The same of a copy: the first to open a journal that work or a kill has left sorts its log, and spares others that. */
export async function askCopy<A>(stage: Stage, directory: string, role: BacklogSetup['role']): Promise<A> {
  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  syncFiles(copy);
  try {
    return await ask<A>(stage, copy, role);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Whoever syncs a file of its own next would wait for these, too. */
function syncFiles(directory: string): void {
  for (const name of readdirSync(directory)) {
    const file = openSync(join(directory, name), 'r');
    fsyncSync(file);
    closeSync(file);
  }
}

function probe(stage: Stage, directory: string, role: BacklogSetup['role']): Promise<Child> {
  const setup: BacklogSetup = { engine: stage.engine, directory, role };
  return Child.open(stage.program('backlog'), setup);
}
