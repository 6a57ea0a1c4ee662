/** What a scenario comes to: rows of figures, each saying what it makes durable and where handlers run. */

/** What an acknowledged job and a result that was seen survive: a power cut, the death of the process, nothing. */
export type Durability = 'fsync' | 'os' | 'none';
export type RunsIn = 'thread' | 'main thread' | 'inline' | 'nowhere';

export interface RowFacts {
  readonly system: string;
  readonly durability: Durability;
  /** Where the handler runs; `nowhere` where jobs are only added or only wait. */
  readonly runsIn: RunsIn;
  readonly threads: number;
}

export interface Row extends RowFacts {
  /** The reason, where there are no figures. */
  readonly notMeasured?: string;
  readonly [figure: string]: number | string | undefined;
}

/** The median of the rounds' ratios, and the middle half of them. */
export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

export interface Report {
  readonly scenario: string;
  readonly rows: readonly Row[];
  /** Only those that could be measured. */
  readonly ratios: ReadonlyMap<string, Ratio>;
  /** Further figures by name, and figures by size. */
  readonly memoryMB?: Readonly<Record<string, number>>;
  readonly notes?: readonly string[];
}

/** One line, for programs. */
export function toJson({ scenario, rows, ratios, memoryMB }: Report): string {
  const medians = Object.fromEntries([...ratios].map(([key, { median }]) => [key, median]));
  const spread = Object.fromEntries(
    [...ratios].map(([key, { low, high, rounds }]) => [key, { low, high, rounds }]),
  );
  return JSON.stringify({ scenario, rows, ratios: medians, spread, ...(memoryMB && { memoryMB }) });
}
