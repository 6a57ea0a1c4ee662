/** Which of the files in a directory are LevelDB's, and what they are. */

/** LevelDB's files by their numbers, in order. */
export interface FileNames {
  readonly hasCurrent: boolean;
  readonly manifests: readonly number[];
  readonly logs: readonly number[];
  /** By number, for a table's name ends in one of two ways. */
  readonly tables: ReadonlyMap<number, string>;
}

export const CURRENT = 'CURRENT';
export const manifestName = (number: number): string => `MANIFEST-${padded(number)}`;
export const logName = (number: number): string => `${padded(number)}.log`;
export const tableName = (number: number): string => `${padded(number)}.ldb`;

const padded = (number: number): string => String(number).padStart(6, '0');

const NUMBERED = /^(?:MANIFEST-(?<manifest>\d+)|(?<log>\d+)\.log|(?<table>\d+)\.(?:ldb|sst))$/;

export function sortNames(names: readonly string[]): FileNames {
  const manifests: number[] = [];
  const logs: number[] = [];
  const tables = new Map<number, string>();
  for (const name of names) {
    const { manifest, log, table } = NUMBERED.exec(name)?.groups ?? {};
    if (manifest !== undefined) manifests.push(Number(manifest));
    if (log !== undefined) logs.push(Number(log));
    if (table !== undefined) tables.set(Number(table), name);
  }
  const ascending = (numbers: number[]): number[] => numbers.sort((a, b) => a - b);
  return {
    hasCurrent: names.includes(CURRENT),
    manifests: ascending(manifests),
    logs: ascending(logs),
    tables: new Map([...tables].sort(([a], [b]) => a - b)),
  };
}

/** Whether the file is one that holds LevelDB's data; `LOCK` and `LOG` are not. */
export const isDataFile = (name: string): boolean => name === CURRENT || NUMBERED.test(name);

/** The number of the manifest that CURRENT names, or nothing where it names none. */
export function manifestOf(current: string): number | undefined {
  const digits = /^MANIFEST-(\d+)\n$/.exec(current)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
