/** What an attempt came to, as plain data. Errors travel encoded, as the thread made them. */
export type Outcome =
  | { readonly kind: 'completed'; readonly result: Uint8Array }
  | {
      readonly kind: 'errored';
      readonly error: Uint8Array;
      readonly unrecoverable: boolean;
      /** The next attempt waits for at least so long. */
      readonly retryAfterMs?: number;
    }
  /** The job comes back later, and the attempt does not count. `error`: of a `RetryAfterError`. */
  | { readonly kind: 'snoozed'; readonly delayMs: number; readonly error?: Uint8Array }
  /** Decided when the signal was sent, even if a value arrived within the grace. */
  | { readonly kind: 'timedOut'; readonly error: Uint8Array }
  /** Its deadline came while it ran; decided when the signal was sent, too. */
  | { readonly kind: 'overdue'; readonly error: Uint8Array }
  /** `reason`: what was said by whoever cancelled it, where the job's status does not say so already. */
  | { readonly kind: 'cancelled'; readonly reason?: string }
  /** Its handler never began, for its payload is none for the code as it is: no attempt is counted, and none would help. */
  | { readonly kind: 'refused'; readonly error: Uint8Array }
  /** Its handler never began, and may do so later. */
  | { readonly kind: 'postponed'; readonly runAt: number }
  /** The thread died under it. */
  | { readonly kind: 'crashed'; readonly error: Uint8Array }
  /** It came to nothing that may count: `close()`, a neighbour's thread was ended, a thread that never started it. */
  | { readonly kind: 'released' };
