/** The prototype's group commit: one write in flight, everything that arrives meanwhile forms the next one. */
import type { Level } from 'level';

type Batch = ReturnType<Level<string, Buffer>['batch']>;

export class GroupCommit {
  readonly #db: Level<string, Buffer>;
  #batch: Batch | undefined;
  #acks: (() => void)[] = [];
  #wantsSync = false;
  #writing: Promise<void> | undefined;

  constructor(db: Level<string, Buffer>) {
    this.#db = db;
  }

  put(key: string, value: Buffer): void {
    (this.#batch ??= this.#db.batch()).put(key, value);
  }

  del(key: string): void {
    (this.#batch ??= this.#db.batch()).del(key);
  }

  /** Calls `ack` once what was put so far is written. */
  commit({ sync }: { sync: boolean }, ack: () => void): void {
    this.#acks.push(ack);
    this.#wantsSync ||= sync;
    this.#next();
  }

  async idle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  #next(): void {
    if (this.#writing || !this.#batch) return;
    this.#writing = new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#write().then(resolve, reject);
      });
    });
  }

  async #write(): Promise<void> {
    const [batch, acks, sync] = [this.#batch, this.#acks, this.#wantsSync];
    this.#batch = undefined;
    this.#acks = [];
    this.#wantsSync = false;
    await batch?.write({ sync });
    this.#writing = undefined;
    for (const ack of acks) ack();
    this.#next();
  }
}
