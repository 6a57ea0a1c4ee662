/** Assembles an engine: the only place that knows all its parts. It wires them, and decides nothing. */
import { pino } from 'pino';
import { systemClock, type Clock } from '../clock.js';
import type { JobCatalogue } from '../define.js';
import { MillraceError } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import { openJournal } from '../journal/open.js';
import type { Logger, Settings } from '../options.js';
import type { PoolEvents } from '../pool/contract.js';
import { InlinePool, type InlineHandler } from '../pool/inline-pool.js';
import { tsxRegistrar } from '../pool/loader.js';
import { resolveModule } from '../pool/module-url.js';
import { ThreadPool } from '../pool/thread-pool.js';
import { Announcer } from './announcer.js';
import { EmbeddedEngine } from './embedded-engine.js';
import { poolEvents } from './pool-events.js';
import { Transfer } from './transfer.js';

export interface AssemblyOptions {
  readonly settings: Settings;
  readonly jobs: JobCatalogue;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Assembly {
  readonly engine: EmbeddedEngine;
  readonly announcer: Announcer;
  readonly transfer: Transfer;
}

/** Opens an engine. It begins to work in a turn of its own. */
export async function assemble({
  settings,
  jobs,
  clock = systemClock,
  logger = defaultLogger(),
}: AssemblyOptions): Promise<Assembly> {
  const announcer = new Announcer(logger);
  const engine = await openEngine(settings, jobs, clock, announcer);
  const transfer = new Transfer({ ...engine.imports, directory: settings.directory, clock });
  return { engine, announcer, transfer };
}

async function openEngine(
  settings: Settings,
  jobs: JobCatalogue,
  clock: Clock,
  announcer: Announcer,
): Promise<EmbeddedEngine> {
  let engine: EmbeddedEngine | undefined;
  const events = poolEvents(announcer, () => engine);
  const pools = {
    thread: threadPool(settings, jobs, events, clock),
    inline: inlinePool(settings, jobs, events, clock),
  };
  const hasThreadJobs = [...settings.types.values()].some(({ kind }) => kind === 'thread');
  // Threads take longer to start than most journals to open, so both go on at once.
  const [journal, threads] = await Promise.allSettled([
    openJournal({ ...settings, clock }),
    hasThreadJobs ? startThreads(pools.thread) : undefined,
  ]);
  if (journal.status === 'rejected' || threads.status === 'rejected') {
    await pools.thread.close();
    if (journal.status === 'fulfilled') await journal.value.close();
    throw journal.status === 'rejected' ? journal.reason : (threads as PromiseRejectedResult).reason;
  }
  engine = new EmbeddedEngine({
    settings,
    clock,
    announcer,
    pools,
    journal: journal.value,
    nativeTypes: new Set(threads.value),
    random: Math.random,
  });
  try {
    await engine.recover();
  } catch (thrown) {
    await engine.close(0);
    throw thrown;
  }
  // In a turn of its own, so that whoever awaits open() can subscribe before the first event, and does not wait for
  // threads that are not needed yet.
  setImmediate(() => {
    engine.begin();
    if (hasThreadJobs) pools.thread.fill();
  });
  return engine;
}

/** @returns the job types that work on libuv's pool. */
async function startThreads(pool: ThreadPool): Promise<readonly string[]> {
  const { failures, native } = await pool.start();
  const errors = failures.map(({ error }) => fromErrorData(decodeError(error)));
  if (errors.length > 1) {
    const message = `${errors.length} handlers' modules could not be loaded: ${errors.map((error) => error.message).join('; ')}`;
    throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message, { cause: new AggregateError(errors) });
  }
  if (errors[0]) throw errors[0];
  return native;
}

function threadPool(settings: Settings, jobs: JobCatalogue, events: PoolEvents, clock: Clock): ThreadPool {
  const execArgv = settings.threads.execArgv ?? process.execArgv;
  const handlers = Object.entries(jobs).flatMap(([name, type]) =>
    type.kind === 'thread' ? [[name, resolveModule(type.url, execArgv).href] as const] : [],
  );
  const isFromSource = handlers.some(([, href]) => /\.[cm]?ts$/.test(href));
  const registrar = isFromSource ? tsxRegistrar(execArgv) : undefined;
  const maxResultBytes = Object.fromEntries(
    [...settings.types.values()].map(({ name, maxResultBytes }) => [name, maxResultBytes]),
  );
  const own = { handlers: Object.fromEntries(handlers), maxResultBytes, ...(registrar && { registrar }) };
  return new ThreadPool({ ...settings.threads, ...own }, events, clock);
}

function inlinePool(settings: Settings, jobs: JobCatalogue, events: PoolEvents, clock: Clock): InlinePool {
  const handlers = Object.entries(jobs).flatMap(([name, type]) => {
    const { concurrency = Infinity, maxResultBytes } = settings.types.get(name) ?? {};
    return type.kind === 'inline'
      ? [[name, { handler: type.handler, concurrency, maxResultBytes } satisfies InlineHandler] as const]
      : [];
  });
  return new InlinePool(Object.fromEntries(handlers), events, clock);
}

/** Standard error, so that an app's own output stays its own. */
function defaultLogger(): Logger {
  return pino({ name: 'millrace', level: 'warn' }, pino.destination({ dest: 2, sync: true }));
}
