/**
 * The prototype: what this machine can do, written before the engine. Durable jobs end to end with bytes instead
 * of objects on the main thread: a synced group commit on enqueue, the claim on disk before the handler starts, up
 * to 100 jobs in one message to a Piscina thread, the results synced before they count. It has no retries,
 * timeouts, ids, events or recovery, and not even a promise for a result: the floor under the cost, not a design.
 */
import { Level } from 'level';
import { Packr } from 'msgpackr';
import { Piscina } from 'piscina';
import { handlerUrl } from '../handlers/locate.js';
import type { ChunkAnswer } from '../handlers/prototype-chunk.js';
import type { Loop, MakePayload, OpenSystem } from './contract.js';
import { GroupCommit } from './prototype-commit.js';

const BATCH_SIZE = 100;
const EMPTY = Buffer.alloc(0);

interface Job {
  readonly id: string;
  readonly bytes: Buffer;
}

class Prototype {
  readonly #commits: GroupCommit;
  readonly #pool: Piscina<Buffer, ChunkAnswer>;
  /** How many chunks may be out at once. */
  readonly #capacity: number;
  readonly #codec = new Packr({ useRecords: false });
  readonly #ready: Job[] = [];
  #head = 0;
  #sequence = 0;
  #running = 0;
  #done = 0;
  #dispatchQueued = false;
  #finished = (): void => {};

  constructor(commits: GroupCommit, pool: Piscina<Buffer, ChunkAnswer>, capacity: number) {
    this.#commits = commits;
    this.#pool = pool;
    this.#capacity = capacity;
  }

  /** Adds jobs in `inFlight` loops, each as soon as the one before it is on disk, and waits for all results. */
  async loop({ forMs = Infinity, jobs = Infinity, inFlight }: Loop, payload: MakePayload): Promise<number> {
    const until = performance.now() + forMs;
    const before = this.#sequence;
    const adding = Array.from({ length: inFlight }, async () => {
      while (this.#sequence - before < jobs && performance.now() < until) {
        await this.#enqueue(payload(this.#sequence));
      }
    });
    await Promise.all(adding);
    if (this.#done < this.#sequence) await new Promise<void>((resolve) => (this.#finished = resolve));
    return this.#sequence - before;
  }

  #enqueue(payload: object): Promise<void> {
    const job = { id: (++this.#sequence).toString(36).padStart(8, '0'), bytes: this.#codec.pack(payload) };
    this.#commits.put(`j${job.id}`, job.bytes);
    this.#commits.put(`r5${job.id}`, EMPTY);
    return new Promise((resolve) => {
      this.#commits.commit({ sync: true }, () => {
        this.#ready.push(job);
        if (!this.#dispatchQueued) {
          this.#dispatchQueued = true;
          queueMicrotask(() => {
            this.#dispatchQueued = false;
            this.#dispatch();
          });
        }
        resolve();
      });
    });
  }

  #dispatch(): void {
    while (this.#running < this.#capacity && this.#head < this.#ready.length) {
      const chunk = this.#ready.slice(this.#head, this.#head + BATCH_SIZE);
      this.#head += chunk.length;
      this.#running++;
      for (const job of chunk) {
        this.#commits.del(`r5${job.id}`);
        this.#commits.put(`a${job.id}`, EMPTY);
      }
      this.#commits.commit({ sync: false }, () => void this.#run(chunk));
    }
    if (this.#head > 10_000) {
      this.#ready.splice(0, this.#head);
      this.#head = 0;
    }
  }

  async #run(chunk: readonly Job[]): Promise<void> {
    const { offsets, bytes } = await this.#pool.run(Buffer.concat(chunk.map((job) => job.bytes)));
    this.#running--;
    const results = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const [i, job] of chunk.entries()) {
      this.#commits.del(`a${job.id}`);
      this.#commits.put(`f${job.id}`, results.subarray(offsets[i], offsets[i + 1]));
    }
    this.#commits.commit({ sync: true }, () => {
      this.#done += chunk.length;
      if (this.#done === this.#sequence) this.#finished();
    });
    this.#dispatch();
  }
}

export const open: OpenSystem = async ({ directory, threads }) => {
  const db = new Level<string, Buffer>(directory, { valueEncoding: 'buffer', writeBufferSize: 16 << 20 });
  await db.open();
  const pool = new Piscina<Buffer, ChunkAnswer>({
    filename: handlerUrl('prototype-chunk').href,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: 2,
    atomics: 'disabled',
  });
  const commits = new GroupCommit(db);
  const prototype = new Prototype(commits, pool, threads * 2);
  return {
    loop: (loop, payload) => prototype.loop(loop, payload),
    stop: async () => {
      await commits.idle();
      await pool.destroy();
      await db.close();
    },
  };
};
