/** The claims whose jobs have not all got their outcomes: their rosters are in the journal. */
export class OpenClaims {
  /** By a claim's number: how many of its jobs have no outcome yet. */
  readonly #jobs = new Map<number, number>();

  open(claim: number, jobs: number): void {
    if (jobs > 0) this.#jobs.set(claim, jobs);
  }

  /** A job of the claim has its outcome. @returns whether it is the last one. */
  leave(claim: number | undefined): claim is number {
    if (claim === undefined) return false;
    const left = this.#jobs.get(claim) ?? 0;
    if (left > 1) this.#jobs.set(claim, left - 1);
    else this.#jobs.delete(claim);
    return left === 1;
  }

  /** Infinity where there is none. */
  get lowest(): number {
    let lowest = Infinity;
    for (const claim of this.#jobs.keys()) lowest = Math.min(lowest, claim);
    return lowest;
  }
}
