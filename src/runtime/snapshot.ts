/** A job as a caller sees it: decoded, and detached from everything. */
import type { AttemptError, JobLogLine, JobSnapshot } from '../job-handle.js';
import { decode } from '../job/codec.js';
import { decodeError } from '../job/error-data.js';
import type { JobNotes } from '../job/notes.js';
import { deadlineOf, lastErrorOf, type Job } from '../job/record.js';

/** @param notes What the job has told of itself. */
export function snapshotOf({ spec, status }: Job, stopping: boolean, notes?: JobNotes): JobSnapshot {
  const { runAt, startedAt, finishedAt, cancelReason, crashes } = status;
  const errors = (status.errors ?? []).map((record): AttemptError => ({
    ...record,
    error: decodeError(record.error),
  }));
  const last = lastErrorOf(status);
  const deadlineAt = deadlineOf({ spec, status });
  return {
    id: spec.id,
    name: spec.name,
    queue: spec.queue,
    state: status.state,
    stopping,
    priority: spec.priority,
    attempt: status.attempt,
    snoozes: status.snoozes ?? 0,
    ...(status.snoozeError && { snoozeError: decodeError(status.snoozeError) }),
    enqueuedAt: spec.enqueuedAt,
    ...(spec.uniqueKey !== undefined && { uniqueKey: spec.uniqueKey }),
    ...(spec.concurrencyKey !== undefined && { concurrencyKey: spec.concurrencyKey }),
    ...(spec.schedule !== undefined && { schedule: spec.schedule }),
    ...(spec.scheduledFor !== undefined && { scheduledFor: spec.scheduledFor }),
    ...(spec.parents && { parents: { ...spec.parents } }),
    ...(deadlineAt !== undefined && { deadlineAt }),
    ...(runAt !== undefined && { runAt }),
    ...(startedAt !== undefined && { startedAt }),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(cancelReason !== undefined && { cancelReason }),
    ...(status.retries !== undefined && { retries: status.retries }),
    ...(notes?.progress && { progress: decode(notes.progress) }),
    ...(crashes !== undefined && { crashes }),
    // Where a record is damaged, nothing is left of it.
    payload: spec.payload.byteLength > 0 ? decode(spec.payload) : undefined,
    ...(spec.payloadVersion !== undefined && { payloadVersion: spec.payloadVersion }),
    ...(status.result && { result: decode(status.result) }),
    ...(last && { error: decodeError(last) }),
    errors,
  };
}

export function logOf({ lines = [] }: JobNotes): JobLogLine[] {
  return lines.map(({ at, level, message, fields, attempt }) => ({
    at,
    level,
    message,
    // Safe: notes.ts encodes an object.
    fields: decode(fields) as Record<string, unknown>,
    attempt,
  }));
}
