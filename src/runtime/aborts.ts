/** Listens to each signal once, however many wait with it: Node takes more than ten listeners for a leak. */
type OnAbort = () => void;

interface Listening {
  readonly callbacks: Set<OnAbort>;
  stop(): void;
}

export class Aborts {
  readonly #signals = new WeakMap<AbortSignal, Listening>();

  /** @returns stops to listen. */
  on(signal: AbortSignal, onAbort: OnAbort): () => void {
    const listening = this.#signals.get(signal) ?? this.#listen(signal);
    listening.callbacks.add(onAbort);
    return () => {
      listening.callbacks.delete(onAbort);
      if (listening.callbacks.size === 0) listening.stop();
    };
  }

  #listen(signal: AbortSignal): Listening {
    const callbacks = new Set<OnAbort>();
    const listener = (): void => {
      for (const callback of callbacks) callback();
    };
    const listening = {
      callbacks,
      stop: () => {
        signal.removeEventListener('abort', listener);
        // Another round of listening may have begun.
        if (this.#signals.get(signal) === listening) this.#signals.delete(signal);
      },
    };
    signal.addEventListener('abort', listener, { once: true });
    this.#signals.set(signal, listening);
    return listening;
  }
}
