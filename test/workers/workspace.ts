/** What the tests of the ready-made workers run in: a directory of their own, and a job without an engine. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { JobContext } from '../../src/index.js';

/** A new directory, removed after the file's tests. */
export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-workers-'));
  afterAll(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface FakeJob extends JobContext {
  /** What was given to `progress()`. */
  readonly reported: unknown[];
  abort(): void;
}

export const ABORTED = new Error('the attempt was aborted');

/** A job's context; `onProgress` may abort it. */
export function makeJob(onProgress: (job: FakeJob) => void = () => {}): FakeJob {
  const controller = new AbortController();
  const { signal } = controller;
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const job: FakeJob = {
    id: 'job',
    name: 'worker',
    queue: 'default',
    attempt: 1,
    maxAttempts: 3,
    signal,
    log,
    reported: [],
    abort: () => controller.abort(ABORTED),
    throwIfAborted: () => signal.throwIfAborted(),
    snooze() {
      throw new Error('None of these handlers puts anything off');
    },
    resumeFrom: undefined,
    parentResults: () => Promise.resolve({}),
    checkpoint: async () => {},
    enqueue: async () => ({ id: 'none' }),
    progress(value) {
      job.reported.push(value);
      onProgress(job);
      signal.throwIfAborted();
    },
  };
  return job;
}

/** The files below `directory`, as relative paths; temporary ones would be among them. */
export async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .toSorted();
}

/** What `promise` rejects with; fails when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error('rejected with something that is no error', { cause: error });
  }
  return expect.unreachable('expected a rejection');
}
