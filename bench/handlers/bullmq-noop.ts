/** The no-op handler as BullMQ's sandboxed processors want it. */
import type { SandboxedJob } from 'bullmq';
import noop from './noop.js';

export default async function process(job: SandboxedJob<object>): Promise<unknown> {
  return noop(job.data);
}
