/**
 * Which jobs ended last, or were removed. Whoever asks for a result right after an enqueue learns from here that the job is still to
 * come, and the journal need not be read.
 */

const SIZE = 1_000;

export class RecentEnds {
  /** The last ones; when there are too many, the younger half stays. */
  #younger = new Set<string>();
  #older: ReadonlySet<string> = new Set();
  /** How many had ended before those that are remembered. */
  #forgotten = 0;
  #count = 0;

  /** How many ends there were: says later what happened since. */
  get count(): number {
    return this.#count;
  }

  add(id: string): void {
    if (this.#younger.size === SIZE) {
      this.#older = this.#younger;
      this.#younger = new Set();
      this.#forgotten = Math.max(this.#forgotten, this.#count - SIZE);
    }
    this.#count++;
    this.#younger.add(id);
  }

  /** Jobs may have ended, or be gone, without a word: whoever counted before has to look into the journal. */
  forget(): void {
    this.#forgotten = ++this.#count;
  }

  /** Whether a job that had not ended when `count` was that has certainly not ended since. */
  isOpen(count: number, id: string): boolean {
    return count >= this.#forgotten && !this.#younger.has(id) && !this.#older.has(id);
  }
}
