/** Engines that are wrong in what they make of payloads for older code. */
import type { JobTypeSettings } from '../../src/job-options.js';
import { MillraceError } from '../../src/index.js';
import type { JobRead } from '../../src/journal/journal.js';
import { journal, type Planted } from './wrong.js';
import type { Wraps } from './process.js';

export const PLANTED_VERSIONS: Readonly<Record<string, Planted>> = {
  'payloads for older code are given as they are': {
    invariant: 'misupgraded',
    wrap: () => upgrading(() => ({ upgrade: (payload) => payload })),
  },
  'payloads are upgraded from the version before the code, whatever theirs is': {
    invariant: 'misupgraded',
    wrap: () =>
      upgrading(({ version, upgrade }) => ({ upgrade: (payload) => upgrade?.(payload, version - 1) })),
  },
  'of which version a payload is, is not looked up': {
    invariant: 'misupgraded',
    wrap: () => journal((own) => ({ jobs: async (ids) => (await own.jobs(ids)).map(withoutVersion) })),
  },
};

const upgrading = (change: (type: JobTypeSettings) => Partial<JobTypeSettings>): Wraps => ({
  settings: (own) => ({
    ...own,
    types: new Map(
      [...own.types].map(([name, type]) => [name, type.upgrade ? { ...type, ...change(type) } : type]),
    ),
  }),
});

function withoutVersion(read: JobRead): JobRead {
  if (read === undefined || read instanceof MillraceError) return read;
  const { payloadVersion: _, ...spec } = read.spec;
  return { ...read, spec };
}
