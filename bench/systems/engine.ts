/** Loads the engine that is to be measured, which may be another commit's. */
import type * as Engine from 'millrace';

/** What an older commit may lack. */
interface Bulk {
  enqueueMany(jobs: readonly BulkJob[]): Promise<readonly unknown[]>;
}

export interface BulkJob {
  readonly name: string;
  readonly payload: object;
  readonly options?: { readonly delay?: string };
}

export const loadEngine = async (module: string): Promise<typeof Engine> =>
  (await import(module)) as typeof Engine;

/** @returns undefined where that engine has none. */
export function bulkOf(
  mill: object,
): ((jobs: readonly BulkJob[]) => Promise<readonly unknown[]>) | undefined {
  return 'enqueueMany' in mill ? (jobs) => (mill as Bulk).enqueueMany(jobs) : undefined;
}
