/** Heavy payloads: what is in one follows from its token, so that one that is cut off, or is of another job, is told. */

/** What tells of a payload whether it is whole. */
export interface Heavy {
  readonly token: string;
  /** In characters; absent where it is light. */
  readonly weight?: number;
  /**
   * So much that it lies in a file of its own, or at least makes the journal's log fill up, so that LevelDB begins another
   * and writes tables.
   */
  readonly ballast?: string;
}

export const ballastOf = (token: string, weight: number): string =>
  `${token} `.repeat(Math.ceil(weight / (token.length + 1))).slice(0, weight);

/** Whether it is not as it was enqueued. */
export const isGarbled = ({ token, weight, ballast }: Heavy): boolean =>
  ballast !== (weight === undefined ? undefined : ballastOf(token, weight));
