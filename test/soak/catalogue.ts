/** The job types and queues of the soak: ended jobs are kept for seconds, so that much more goes than stays. */
import {
  defineJobs,
  inlineJob,
  Millrace,
  threadJob,
  type JobTypeOptions,
  type Logger,
} from '../../src/index.js';
import handle from './handler.js';

const common = {
  backoff: { type: 'exponential', delay: 20, max: 200 },
  grace: 20,
  retention: { completed: '3s', failed: '5s', cancelled: '2s' },
} as const;

const thread = (options: JobTypeOptions = {}) =>
  threadJob<typeof import('./handler.js')>(new URL('./handler.js', import.meta.url), {
    ...common,
    ...options,
  });

export const jobs = defineJobs({
  quick: thread(),
  slow: thread({ queue: 'low' }),
  /** Runs into its timeout, and stops when it is told to. */
  late: thread({ timeout: 40, maxAttempts: 2, queue: 'low' }),
  /** Its thread is ended, or ends itself. */
  deadly: thread({ timeout: 40, maxAttempts: 2, concurrency: 1, queue: 'low' }),
  mail: inlineJob(handle, { ...common, concurrency: 8 }),
});

export type Name = keyof typeof jobs;

export const queues = { default: { weight: 3 }, low: { weight: 1 } };

export type Engine = Millrace<typeof jobs, keyof typeof queues>;

/** Warnings come as events, too. */
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export const openEngine = (directory: string): Promise<Engine> =>
  // Without the options of this process: threads take none that are V8's.
  Millrace.open({ directory, jobs, queues, logger: silent, threads: { count: 2, execArgv: [] } });
