/** The processes of the backlog scenario: one fills a journal, one opens it, one works on it, one is LevelDB alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Level } from 'level';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { handlerUrl } from '../handlers/locate.js';
import { bulkOf, loadEngine } from '../systems/engine.js';
import { serve, type Probe } from './serve.js';

export interface BacklogSetup {
  readonly engine: string;
  readonly directory: string;
  readonly role: 'fill' | 'open' | 'work' | 'level';
}

export interface FillTurn {
  readonly jobs: number;
  readonly delayed: boolean;
  /** Gives up after this long. */
  readonly forMs: number;
}

export interface Opened {
  readonly openMs: number;
  /** After opening, a look at the backlog and a garbage collection. */
  readonly rssMB: number;
}

/** So many in one call, or in flight where the engine has no such call. */
const AT_ONCE = 1_000;
const queues = { default: { concurrency: 1 } };

async function catalogue(engine: string) {
  const { Millrace, defineJobs, inlineJob, threadJob } = await loadEngine(engine);
  /** One that occupies its queue's only place, so that all others wait. */
  const block = inlineJob(
    (_payload: object, job) =>
      new Promise<never>((_, reject) => {
        job.signal.addEventListener('abort', () => reject(job.signal.reason));
      }),
    { grace: 0 },
  );
  return { Millrace, defineJobs, block, noop: threadJob(handlerUrl('noop')) };
}

async function fill({ engine, directory }: BacklogSetup): Promise<Probe> {
  const { Millrace, defineJobs, block } = await catalogue(engine);
  const mill = await Millrace.open({
    directory,
    queues,
    jobs: defineJobs({ work: block }),
    durability: 'os',
  });
  const many = bulkOf(mill);
  async function add(first: number, count: number, delayed: boolean): Promise<void> {
    const options = delayed ? ({ delay: '30d' } as const) : {};
    const payloads = Array.from({ length: count }, (_, i) => ({
      id: first + i,
      width: 800,
      height: 600,
      path: '/uploads/a.jpg',
    }));
    if (many) await many(payloads.map((payload) => ({ name: 'work', payload, options })));
    else await Promise.all(payloads.map((payload) => mill.enqueue('work', payload, options)));
  }
  return {
    async turn({ jobs, delayed, forMs }: FillTurn) {
      const until = performance.now() + forMs;
      let made = 0;
      while (made < jobs && performance.now() < until) {
        const count = Math.min(AT_ONCE, jobs - made);
        await add(made, count, delayed);
        made += count;
      }
      return made;
    },
    stop: () => mill.close({ timeout: 0 }),
  };
}

async function openIdle({ engine, directory }: BacklogSetup): Promise<Probe> {
  const { Millrace, defineJobs, block } = await catalogue(engine);
  const startedAt = performance.now();
  const mill = await Millrace.open({ directory, queues, jobs: defineJobs({ work: block }) });
  const openMs = performance.now() - startedAt;
  if ((await mill.counts()).available > 0)
    await new Promise<void>((resolve) => mill.on('started', () => resolve()));
  setFlagsFromString('--expose-gc');
  // Safe: the flag makes it.
  const collect = runInNewContext('gc') as () => void;
  for (let i = 0; i < 3; i++) collect();
  const opened: Opened = { openMs, rssMB: process.memoryUsage().rss / 1e6 };
  return { turn: async () => opened, stop: () => mill.close({ timeout: 0 }) };
}

/** Works on the backlog, and adds a job for each that ends, so that as many wait as before. */
async function work({ engine, directory }: BacklogSetup): Promise<Probe> {
  const { Millrace, defineJobs, noop } = await catalogue(engine);
  const mill = await Millrace.open({ directory, jobs: defineJobs({ work: noop }) });
  let completed = 0;
  const adding = new Set<Promise<unknown>>();
  mill.on('completed', () => {
    completed++;
    const added = mill.enqueue('work', { id: completed, width: 800, height: 600, path: '/uploads/a.jpg' });
    adding.add(added);
    // Closing refuses the last ones.
    added.catch(() => {}).finally(() => adding.delete(added));
  });
  return {
    async turn({ warmUpMs, forMs }: { warmUpMs: number; forMs: number }) {
      // It has been working since it opened.
      await sleep(warmUpMs);
      const [startedAt, before] = [performance.now(), completed];
      await sleep(forMs);
      return ((completed - before) * 1_000) / (performance.now() - startedAt);
    },
    stop: async () => {
      await mill.close({ timeout: '2s' });
      await Promise.allSettled(adding);
    },
  };
}

async function openLevel({ directory }: BacklogSetup): Promise<Probe> {
  const startedAt = performance.now();
  const db = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
  await db.open();
  const openMs = performance.now() - startedAt;
  return { turn: async () => ({ openMs }), stop: () => db.close() };
}

const ROLES = { fill, open: openIdle, work, level: openLevel };

serve((setup: BacklogSetup) => ROLES[setup.role](setup));
