/** What a pool under test tells, and how a test gives it work. */
import { onTestFinished } from 'vitest';
import type { MillraceError } from '../../src/errors.js';
import { systemClock, type Clock } from '../../src/clock.js';
import { decode, encode } from '../../src/job/codec.js';
import { decodeError, type ErrorData } from '../../src/job/error-data.js';
import type { Outcome } from '../../src/job/outcome.js';
import type { JobRequest, LogLine, Need, Pool, PoolEvents, Settled, Task } from '../../src/pool/contract.js';
import { Recorder } from '../fixtures/recorder.js';
import type { Script } from '../fixtures/scripted.js';

export type News =
  | { kind: 'stopping'; id: string }
  | { kind: 'settled'; id: string; outcome: Outcome }
  | { kind: 'progress'; id: string; value: unknown }
  | { kind: 'log'; id: string; line: LogLine }
  | { kind: 'request'; id: string; request: JobRequest }
  | { kind: 'warning'; error: MillraceError }
  | { kind: 'available' };

export class PoolNews implements PoolEvents {
  readonly all = new Recorder<News>();
  /** What requests are answered with. */
  answer = async (_request: JobRequest): Promise<unknown> => 'the id';

  stopping({ id }: Task): void {
    this.all.push({ kind: 'stopping', id });
  }

  settled(ends: readonly Settled[]): void {
    for (const { task, outcome } of ends) this.all.push({ kind: 'settled', id: task.id, outcome });
  }

  progress({ id }: Task, value: Uint8Array): void {
    this.all.push({ kind: 'progress', id, value: decode(value) });
  }

  log({ id }: Task, line: LogLine): void {
    this.all.push({ kind: 'log', id, line });
  }

  request({ id }: Task, request: JobRequest): Promise<unknown> {
    this.all.push({ kind: 'request', id, request });
    return this.answer(request);
  }

  warning(error: MillraceError): void {
    this.all.push({ kind: 'warning', error });
  }

  available(): void {
    this.all.push({ kind: 'available' });
  }

  /** What the task came to. */
  async outcome({ id }: Task): Promise<Outcome> {
    const news = await this.all.until((one) => one.kind === 'settled' && one.id === id);
    if (news.kind !== 'settled') throw new Error('until() gave what was not asked for');
    return news.outcome;
  }

  /** Resolves when the handler has told of its first progress. */
  async begun({ id }: Task): Promise<void> {
    await this.all.until((one) => one.kind === 'progress' && one.id === id);
  }

  /** Resolves when the handler has asked for something, with what that is. */
  async asked({ id }: Task): Promise<JobRequest> {
    const news = await this.all.until((one) => one.kind === 'request' && one.id === id);
    if (news.kind !== 'request') throw new Error('until() gave what was not asked for');
    return news.request;
  }

  async warned(code: MillraceError['code']): Promise<MillraceError> {
    const news = await this.all.until((one) => one.kind === 'warning' && one.error.code === code);
    if (news.kind !== 'warning') throw new Error('until() gave what was not asked for');
    return news.error;
  }

  /** Resolves once the pool, told of room, has room. */
  async room(pool: Pool): Promise<void> {
    const isFree = (): boolean => pool.hasRoom(needOf('scripted', false));
    if (!isFree()) await this.all.until((one) => one === this.all.all.at(-1) && isFree());
  }

  /** What was told of the tasks themselves, in order, as words. */
  story(): string[] {
    return this.all.all.flatMap((one) => {
      if (one.kind === 'settled') return [`${one.id} ${one.outcome.kind}`];
      if (one.kind === 'progress') return [`${one.id} progress ${JSON.stringify(one.value)}`];
      if (one.kind === 'log') return [`${one.id} ${one.line.level} ${one.line.message}`];
      return [];
    });
  }
}

let made = 0;

/** @param limits By default none: a minute of grace, no timeout. */
export function task(script: Script, limits: Partial<Task> = {}): Task {
  return {
    id: `task-${++made}`,
    name: 'scripted',
    queue: 'default',
    attempt: 1,
    maxAttempts: 3,
    graceMs: 60_000,
    ...limits,
    payload: encode(script),
  };
}

/** What a job of a type needs, as the runtime would say it. */
export const needOf = (name: string, isLimited = false, mayQueue = true, mayShare = true): Need => ({
  name,
  isLimited,
  mayQueue,
  mayShare,
});

/** Runs the tasks in one place, as the runtime would: asking first, then reserving. */
export function run(pool: Pool, ...tasks: Task[]): void {
  for (const { name } of tasks.slice(0, 1)) {
    if (!pool.hasRoom(needOf(name))) throw new Error('The pool has no room for the task');
  }
  pool.run(tasks.map((task) => ({ seat: pool.reserve(needOf(task.name)), task })));
}

export interface PoolBench<P extends Pool = Pool> {
  readonly pool: P;
  readonly news: PoolNews;
}

export type MakePool<P extends Pool = Pool> = (events: PoolEvents, clock: Clock) => Promise<P>;

/** A pool that is closed after the test. */
export async function poolBench<P extends Pool>(
  make: MakePool<P>,
  clock: Clock = systemClock,
): Promise<PoolBench<P>> {
  const news = new PoolNews();
  const pool = await make(news, clock);
  onTestFinished(() => pool.close());
  return { pool, news };
}

/** The error of an attempt that did not complete. */
export function errorOf(outcome: Outcome): ErrorData {
  if (!('error' in outcome)) throw new Error(`Expected an outcome with an error, got ${outcome.kind}`);
  return decodeError(outcome.error);
}

export function resultOf(outcome: Outcome): unknown {
  if (outcome.kind !== 'completed') throw new Error(`Expected a result, got ${outcome.kind}`);
  return decode(outcome.result);
}
