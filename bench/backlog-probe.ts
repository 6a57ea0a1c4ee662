/** The processes of backlog.ts: fills a journal, opens it, or opens its directory with LevelDB alone. */
import { Level } from 'level';
import { defineJobs, inlineJob, Millrace, threadJob } from 'millrace';

const [mode = '', directory = '', ...rest] = process.argv.slice(2);
/** More than this in one turn would measure the garbage of promises. */
const IN_FLIGHT = 1_000;

/** One that occupies its queue's only place, so that all others wait. */
const block = inlineJob(
  (_payload: unknown, job) =>
    new Promise<never>((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason))),
  { grace: 0 },
);
const queues = { default: { concurrency: 1 } };

async function fill(jobs: number, end: string): Promise<void> {
  const mill = await Millrace.open({
    directory,
    queues,
    jobs: defineJobs({ work: block }),
    durability: 'os',
  });
  for (let made = 0; made < jobs; made += IN_FLIGHT) {
    const some = Array.from({ length: Math.min(IN_FLIGHT, jobs - made) }, (_, i) =>
      mill.enqueue('work', { id: made + i, width: 800, height: 600, path: '/uploads/a.jpg' }),
    );
    await Promise.all(some);
  }
  if (end === 'kill') process.kill(process.pid, 'SIGKILL');
  await mill.close({ timeout: 0 });
}

async function openMillrace(handlers: string): Promise<void> {
  const thread = threadJob<typeof import('./noop.js')>(new URL('./noop.js', import.meta.url));
  // A thread that runs the backlog would be measured, too: its jobs are of another name.
  const jobs = defineJobs(handlers === 'thread' ? { work: block, noop: thread } : { work: block });
  const startedAt = performance.now();
  const mill = await Millrace.open({ directory, queues, jobs, threads: { count: 1 } });
  const openMs = performance.now() - startedAt;
  await new Promise<void>((resolve) => mill.on('started', () => resolve()));
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  const { available } = await mill.counts();
  console.log(JSON.stringify({ openMs, available, rssMb: process.memoryUsage().rss / 1e6 }));
  await mill.close({ timeout: 0 });
}

async function openLevel(): Promise<void> {
  const startedAt = performance.now();
  const db = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
  await db.open();
  console.log(JSON.stringify({ openMs: performance.now() - startedAt }));
  await db.close();
}

if (mode === 'fill') await fill(Number(rest[0]), rest[1] ?? 'close');
else if (mode === 'open') await openMillrace(rest[0] ?? 'inline');
else await openLevel();
