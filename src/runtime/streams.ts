/**
 * Enqueues as many jobs as an iterable gives, a chunk at a time: in bounded memory, and each chunk in one write. A stream
 * ends where its iterable does, and before that at its signal, or when the engine closes, whatever the iterable waits for.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, messageOf, StreamError, type MillraceError } from '../errors.js';
import { Aborts } from './aborts.js';
import type { EnqueueItem, Intake } from './intake.js';
import { Slices } from './slices.js';
import type { Together } from './together.js';

export interface StreamsLinks {
  readonly clock: Clock;
  readonly intake: Pick<Intake, 'together'>;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

export type Items = AsyncIterable<EnqueueItem> | Iterable<EnqueueItem>;

/** How many jobs go into the journal in one write: few enough to wait in memory, and a sync is shared by many. */
const CHUNK = 1_000;
/** Or fewer, where their payloads take so much memory. */
const CHUNK_BYTES = 4 << 20;
/** So long after its first job a chunk goes, however slowly others come. */
const CHUNK_MS = 1_000;

export class Streams {
  readonly #links: StreamsLinks;
  readonly #open = new Set<Stream>();
  readonly #aborts = new Aborts();

  constructor(links: StreamsLinks) {
    this.#links = links;
  }

  /**
   * @param signal Ends it: what is in the journal by then stays.
   * @returns how many jobs were enqueued.
   * @throws StreamError
   */
  async enqueue(items: Items, signal: AbortSignal | undefined): Promise<number> {
    const stream = new Stream(items, signal, this.#links);
    this.#open.add(stream);
    if (signal?.aborted) stream.end(signal.reason);
    const stopListening = signal && this.#aborts.on(signal, () => stream.end(signal.reason));
    try {
      return await stream.run();
    } finally {
      stopListening?.();
      this.#open.delete(stream);
    }
  }

  /** The engine closes. */
  close(error: MillraceError): void {
    for (const stream of this.#open) stream.end(error);
  }
}

class Stream {
  readonly #links: StreamsLinks;
  readonly #signal: AbortSignal | undefined;
  readonly #items: AsyncGenerator<EnqueueItem, void>;
  #enqueued = 0;
  #chunk: Together | undefined;
  #due: Timer | undefined;
  #isDue = false;
  #ended: { readonly reason: unknown } | undefined;
  /** What it waits for is not waited for any longer. */
  #interrupt: (() => void) | undefined;

  constructor(items: Items, signal: AbortSignal | undefined, links: StreamsLinks) {
    this.#links = links;
    this.#signal = signal;
    this.#items = each(items);
  }

  end(reason: unknown): void {
    this.#ended ??= { reason };
    this.#interrupt?.();
  }

  async run(): Promise<number> {
    const slices = new Slices(this.#links.clock);
    let asked: Promise<IteratorResult<EnqueueItem, void>> | undefined;
    try {
      this.#links.assertWritable();
      for (;;) {
        this.#assertOngoing();
        asked ??= this.#items.next();
        const step = await this.#unless(asked, () => this.#isDue);
        if (step) asked = undefined;
        if (step?.done) break;
        if (step) await this.#add(step.value);
        if (this.#isFull()) await this.#commit();
        // What is awaited of an iterable that is not async lets nobody else have a turn.
        if (slices.isOver) await slices.next();
      }
      if (this.#chunk) await this.#commit();
      return this.#enqueued;
    } catch (thrown) {
      this.#chunk?.discard();
      await this.#letGo(asked !== undefined);
      throw new StreamError(messageOf(thrown), this.#enqueued, { cause: asError(thrown) });
    } finally {
      this.#due?.cancel();
    }
  }

  async #add(item: EnqueueItem): Promise<void> {
    const { clock, intake } = this.#links;
    this.#chunk ??= intake.together(this.#enqueued, this.#signal);
    this.#due ??= clock.setTimer(() => {
      this.#isDue = true;
      this.#interrupt?.();
    }, CHUNK_MS);
    const adding = this.#chunk.add(item);
    if (adding) await this.#unless(adding, () => false);
    this.#assertOngoing();
  }

  #isFull(): boolean {
    const chunk = this.#chunk;
    if (!chunk) return false;
    return this.#isDue || chunk.count >= CHUNK || chunk.payloadBytes >= CHUNK_BYTES || chunk.hasPortion;
  }

  async #commit(): Promise<void> {
    this.#due?.cancel();
    this.#due = undefined;
    this.#isDue = false;
    this.#links.assertWritable();
    const chunk = this.#chunk;
    this.#chunk = undefined;
    await chunk?.commit();
    this.#enqueued += chunk?.count ?? 0;
  }

  /**
   * Waits for a promise unless the stream ends.
   * @param isEnough Asked where it is interrupted: whether it need not wait any longer.
   * @returns nothing where it was not waited for.
   */
  async #unless<Value>(promise: Promise<Value>, isEnough: () => boolean): Promise<Value | undefined> {
    try {
      return await new Promise<Value | undefined>((resolve, reject) => {
        this.#interrupt = () => {
          if (this.#ended || isEnough()) resolve(undefined);
        };
        promise.then(resolve, reject);
        this.#interrupt();
      });
    } finally {
      this.#interrupt = undefined;
    }
  }

  #assertOngoing(): void {
    if (this.#ended) throw this.#ended.reason;
  }

  /** @param isAsked Whether an item was asked for and has not come: then nobody knows when it will. */
  async #letGo(isAsked: boolean): Promise<void> {
    const gone = this.#items.return().catch(() => {
      // What ended the stream is told instead.
    });
    if (!isAsked) await gone;
  }
}

/** Whatever kind of iterable it is, and what is let go of is so for the iterable, too. */
async function* each(items: Items): AsyncGenerator<EnqueueItem, void> {
  yield* items;
}
