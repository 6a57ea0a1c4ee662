/**
 * The promises that a handler was given by its context. One that it does not await must not end the process: it is awaited
 * behind the handler, and what it was refused with is what the attempt errors with.
 */
import { Call } from './call.js';

/** Whoever awaits it is heard of, for the promise is none of the platform's own. */
class HandedPromise<Value> extends Promise<Value> {
  isListenedTo = false;

  /** What comes of it is an ordinary promise, which is its listener's own. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise, which hears of its listeners by this
  override then<A = Value, B = never>(
    onValue?: ((value: Value) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isListenedTo = true;
    return super.then(onValue, onError);
  }
}

/** How many that are handed out behind the handler are waited for: whoever goes on asking for ever is not. */
const MAX_BEHIND = 1_000;

/** Those of one attempt. */
export class HandedOut {
  /** Neither kept, nor refused to somebody who listened. */
  readonly #open = new Set<HandedPromise<unknown>>();

  /** @param onIgnored Told, in a later turn, of a refusal that nobody listens to; absent: {@link settled} throws it. */
  hand<Value>(promise: Promise<Value>, onIgnored?: (reason: unknown) => void): Promise<Value> {
    const handed = new HandedPromise<Value>((resolve, reject) => void promise.then(resolve, reject));
    // By a way that does not count as listening: nobody but the handler is to be blamed for an unhandled one.
    void Promise.prototype.then.call(
      handed,
      () => this.#open.delete(handed),
      (reason: unknown) => {
        if (handed.isListenedTo) this.#open.delete(handed);
        else if (onIgnored) setImmediate(() => handed.isListenedTo || onIgnored(reason));
      },
    );
    if (!onIgnored) this.#open.add(handed);
    return handed;
  }

  /**
   * The handler is through: resolves once all have settled, and what is handed out meanwhile, up to a number.
   * @throws what the first one was refused with that nobody listens to
   */
  async settled(): Promise<void> {
    let left = this.#open.size + MAX_BEHIND;
    for (const handed of this.#open) {
      if (left-- === 0) return;
      // Who listens hears of it.
      const settling = Promise.prototype.then.call(handed, undefined, (reason: unknown) => {
        if (!handed.isListenedTo) throw Call.ignored(reason);
      });
      await settling;
      this.#open.delete(handed);
    }
  }
}
