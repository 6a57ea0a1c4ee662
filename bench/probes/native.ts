/** An engine whose threads are busy in sharp, while commits and reads of a file are timed at fixed intervals. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { handlerUrl } from '../handlers/locate.js';
import { loadEngine } from '../systems/engine.js';
import { serve } from './serve.js';

export interface NativeSetup {
  readonly engine: string;
  readonly directory: string;
  readonly threads: number;
  /** A module of `handlers/`. */
  readonly handler: string;
  /** A photograph. */
  readonly input: string;
}

export interface NativeTurn {
  /** How many images are in flight; 0: an idle engine. */
  readonly images: number;
  readonly samples: number;
  readonly everyMs: number;
}

export interface NativeAnswer {
  readonly commitsMs: readonly number[];
  readonly readsMs: readonly number[];
  readonly imagesPerSec: number;
}

const SMALL_FILE = fileURLToPath(import.meta.url);

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

serve(async ({ engine, directory, threads, handler, input }: NativeSetup) => {
  const { Millrace, defineJobs, threadJob } = await loadEngine(engine);
  const jobs = defineJobs({ image: threadJob(handlerUrl(handler)), later: threadJob(handlerUrl('noop')) });
  const mill = await Millrace.open({ directory, jobs, threads: { count: threads } });

  async function turn({ images, samples, everyMs }: NativeTurn): Promise<NativeAnswer> {
    const enough = new AbortController();
    let made = 0;
    const startedAt = performance.now();
    const saturating = Array.from({ length: images }, async () => {
      while (!enough.signal.aborted) {
        await (await mill.enqueue('image', { input })).result();
        made++;
      }
    });
    const [commits, reads]: [Promise<number>[], Promise<number>[]] = [[], []];
    for (let sample = 0; sample < samples; sample++) {
      await sleep(everyMs);
      // A job for later is a commit and nothing else.
      commits.push(timed(() => mill.enqueue('later', {}, { delay: '1d' })));
      reads.push(timed(() => readFile(SMALL_FILE)));
    }
    const [commitsMs, readsMs] = await Promise.all([Promise.all(commits), Promise.all(reads)]);
    const imagesPerSec = (made * 1_000) / (performance.now() - startedAt);
    enough.abort();
    await Promise.all(saturating);
    return { commitsMs, readsMs, imagesPerSec };
  }
  return { turn, stop: () => mill.close({ timeout: 0 }) };
});
