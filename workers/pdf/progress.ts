/** Counts what a document is made of, and tells the job how far it is, not more often than is of use. */
import type { JobContext } from '../../src/index.js';
import type { Block } from './payload.js';

const REPORTS = 100;

export class ProgressMeter {
  readonly #job: JobContext;
  readonly #total: number;
  #started = 0;
  #reported = 0;

  constructor(content: readonly Block[], job: JobContext) {
    this.#job = job;
    this.#total = content.reduce((total, block) => total + stepsOf(block), 0);
  }

  /**
   * The step before is done, the next one starts.
   * @throws the reason, when the job has been aborted.
   */
  advance(): void {
    this.#job.throwIfAborted();
    const done = this.#started;
    this.#started += 1;
    if (done - this.#reported < Math.max(1, this.#total / REPORTS)) return;
    this.#reported = done;
    this.#job.progress({ done, total: this.#total });
  }

  /**
   * Everything has been drawn.
   * @throws the reason, when the job has been aborted.
   */
  finish(): void {
    this.#job.throwIfAborted();
    this.#job.progress({ done: this.#total, total: this.#total });
  }
}

/** A block and its rows. */
function stepsOf(block: Block): number {
  if (block.type === 'table') return 1 + block.rows.length;
  if (block.type === 'imageGrid') return 1 + Math.ceil(block.images.length / block.columns);
  return 1;
}
