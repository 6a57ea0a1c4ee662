/**
 * The jobs of an engine as lines of JSON: a first line that says what this is, a line for each job, and a last line that
 * tells whoever reads them that nothing was cut off.
 *
 * The lines come in the order in which an import must give the jobs their places: queue by queue in the order of
 * claiming, then by when they are due. So an import can number them as they come, as an enqueue does, and needs to keep
 * nothing; numbers of their own, carried over, could meet those of other jobs there.
 */
import { MillraceError } from '../errors.js';
import { isPayloadLost } from '../job/payload-file.js';
import type { Job, JobSpec } from '../job/record.js';
import { readRecords } from '../journal/job-reads.js';
import { checkpointKey } from '../journal/keys.js';
import type { StoreView } from '../journal/store.js';
import { walk } from '../journal/walk.js';
import { fieldsOf } from './job-line.js';
import { Slices } from './slices.js';

/** What the first line says. */
export const EXPORT_FORMAT = 'millrace-jobs';
export const EXPORT_VERSION = 1;

/**
 * Each string is one line, its line feed included.
 * @param view Closed when the last line was taken, or whoever takes them stops.
 * @param onDamaged Told of each job that cannot be read; a line with `damaged` stands in its place.
 */
export async function* exportLines(
  view: StoreView,
  now: number,
  payloadOf: (spec: JobSpec) => Promise<Uint8Array>,
  onDamaged: (error: MillraceError) => void,
): AsyncGenerator<string, undefined> {
  const slices = new Slices();
  let jobs = 0;
  try {
    yield toLine({ format: EXPORT_FORMAT, version: EXPORT_VERSION, exportedAt: now });
    for await (const { id, read } of walk(view, now)) {
      const whole = read instanceof MillraceError ? read : await withPayload(read, payloadOf);
      if (whole instanceof MillraceError) {
        onDamaged(whole);
        yield toLine({ damaged: id, reason: whole.message });
        continue;
      }
      jobs++;
      yield toLine(fieldsOf(whole, await checkpointOf(view, whole, onDamaged)));
      if (slices.isOver) await slices.next();
    }
    yield toLine({ end: true, jobs });
  } finally {
    await view.close();
  }
}

async function withPayload(
  job: Job,
  payloadOf: (spec: JobSpec) => Promise<Uint8Array>,
): Promise<Job | MillraceError> {
  const { spec, status } = job;
  if (!spec.payloadFile) return job;
  try {
    return { spec: { ...spec, payload: await payloadOf(spec) }, status };
  } catch (thrown) {
    if (isPayloadLost(thrown)) return thrown;
    throw thrown;
  }
}

/** Of a job that still needs it. One that is damaged is lost, and the job begins anew. */
async function checkpointOf(
  view: StoreView,
  { spec, status }: Job,
  onDamaged: (error: MillraceError) => void,
): Promise<Uint8Array | undefined> {
  if (!status.hasCheckpoint) return undefined;
  const [checkpoint] = await readRecords(view, [checkpointKey(spec.id)]);
  if (!(checkpoint instanceof MillraceError)) return checkpoint;
  onDamaged(checkpoint);
  return undefined;
}

const toLine = (fields: object): string => `${JSON.stringify(fields)}\n`;
