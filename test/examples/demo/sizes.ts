/** Makes the three sizes of every image: enqueues what is not done yet, and waits for all of it. */
import { formatBytes, formatMs } from './format.js';
import type { Outcome } from './outcome.js';
import { once } from './once.js';
import { TARGETS, type PlannedJob } from './plan.js';
import { endingOf, type Work } from './work.js';

export interface Sizes {
  /** In the order of the plan. */
  readonly outcomes: readonly Outcome[];
  /** Those of them that this run has brought about. */
  readonly now: readonly Outcome[];
}

export async function makeSizes(work: Work, plan: readonly PlannedJob[]): Promise<Sizes> {
  const { mill, display, signal } = work;
  const jobs = await Promise.all(
    plan.map((job) =>
      once(mill, job.id, job.path, (id) =>
        mill.enqueue('resizeImage', job.payload, { id, queue: job.target.queue }),
      ),
    ),
  );
  const earlier = jobs.filter(({ wasDone }) => wasDone).length;
  if (earlier > 0) display.say(`${earlier} of ${plan.length} jobs were done by an earlier run`);
  const progress = new Progress(work, plan);
  const now: Outcome[] = [];
  const outcomes = await Promise.all(
    // Each job of the plan has its handle at the same index.
    plan.map(async (job, index) => {
      const started = jobs[index];
      if (!started) throw new Error(`The job ${job.id} was not enqueued`);
      const ending = await endingOf(started.handle, signal);
      const outcome = outcomeOf(job, started.handle.id, ending);
      progress.ended(outcome, started.wasDone);
      if (!started.wasDone) now.push(outcome);
      return outcome;
    }),
  );
  return { outcomes, now };
}

type ResizeEnding = Awaited<ReturnType<typeof endingOf<Extract<Outcome, { kind: 'made' }>['result']>>>;

function outcomeOf(job: PlannedJob, id: string, ending: ResizeEnding): Outcome {
  const { finishedAt, durationMs } = ending;
  return ending.kind === 'completed'
    ? { kind: 'made', job, id, finishedAt, durationMs, result: ending.result }
    : { kind: 'failed', job, id, finishedAt, reason: ending.reason };
}

/** How far the sizes are, queue by queue. */
class Progress {
  readonly #work: Work;
  readonly #total: number;
  readonly #done = new Map(TARGETS.map(({ queue }) => [queue, 0]));
  readonly #failed = new Set<string>();

  constructor(work: Work, plan: readonly PlannedJob[]) {
    this.#work = work;
    this.#total = plan.length;
  }

  ended(outcome: Outcome, wasDone: boolean): void {
    const { queue } = outcome.job.target;
    this.#done.set(queue, (this.#done.get(queue) ?? 0) + 1);
    if (outcome.kind === 'failed') this.#warn(outcome.job.image.name, outcome.reason);
    const done = [...this.#done.values()].reduce((sum, count) => sum + count, 0);
    const each = this.#total / TARGETS.length;
    const note = [...this.#done].map(([name, count]) => `${name} ${count}/${each}`).join(' · ');
    const text = wasDone ? undefined : describe(outcome);
    this.#work.display.step({ label: 'Sizes', done, total: this.#total, note }, text);
  }

  /** Once for each image, whose three sizes mostly fail for the same reason. */
  #warn(name: string, reason: string): void {
    if (!this.#failed.has(name)) this.#work.display.warn(`${name} failed: ${reason}`);
    this.#failed.add(name);
  }
}

function describe(outcome: Outcome): string {
  const { image, target } = outcome.job;
  const title = `${target.folder}/${image.name}`;
  const file = outcome.kind === 'made' ? outcome.result.outputs[0] : undefined;
  if (outcome.kind === 'failed' || !file) return `${title}: failed`;
  return `${title}: ${file.width} × ${file.height}, ${formatBytes(file.bytes)} in ${formatMs(outcome.durationMs)}`;
}
