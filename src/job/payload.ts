/**
 * What a job type asks of a payload: a size, a schema, a version. A payload is checked when its job is enqueued, and once
 * more before each attempt, for what is stored outlives the code.
 *
 * Stored is what was enqueued; the handler gets what the schema makes of it. So a schema that transforms what it checks
 * is given the same both times.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { asError, isInstance, messageOf, PayloadInvalidError, show } from '../errors.js';
import { decode, encode } from './codec.js';
import type { JobSpec } from './record.js';
import { assertSize, type SizeLimit } from './refusal.js';

export interface PayloadRules {
  /** The job type's. */
  readonly name: string;
  readonly maxPayloadBytes: number;
  readonly version: number;
  readonly schema?: StandardSchemaV1;
  /** There is one wherever `version` is above 1. */
  readonly upgrade?: (this: void, payload: unknown, fromVersion: number) => unknown;
}

/** How many issues a message lists. */
const MAX_LISTED = 3;

/**
 * The bytes to be stored, of any payload that somebody wants enqueued.
 * @param what What the payload is, for the message of a refusal.
 * @returns a promise only where the schema gave one.
 * @throws PayloadInvalidError
 */
export function acceptPayload(
  rules: PayloadRules,
  payload: unknown,
  what = 'payload',
): Uint8Array | Promise<Uint8Array> {
  const bytes = encodePayload(rules, payload, what);
  return rules.schema === undefined ? bytes : after(checkPayload(rules, payload, what), () => bytes);
}

/** The same for a payload that is encoded already. */
export function acceptEncoded(
  rules: PayloadRules,
  bytes: Uint8Array,
  what = 'payload',
): Uint8Array | Promise<Uint8Array> {
  assertSize(bytes, what, 'MILLRACE_PAYLOAD_INVALID', limitOf(rules));
  return rules.schema === undefined ? bytes : after(checkPayload(rules, decode(bytes), what), () => bytes);
}

/** Encodes a payload that is not too large, and does not ask the schema. @throws PayloadInvalidError */
export const encodePayload = (rules: PayloadRules, payload: unknown, what = 'payload'): Uint8Array =>
  encode(payload, what, 'MILLRACE_PAYLOAD_INVALID', limitOf(rules));

/**
 * Whether the schema accepts it, and what the schema makes of it can be handed to a handler.
 * @throws PayloadInvalidError
 */
export function checkPayload(rules: PayloadRules, payload: unknown, what = 'payload'): void | Promise<void> {
  return after(outputOf(rules, payload, what), () => {});
}

/** Whether the handler gets the payload as it is stored. */
export const isGivenAsStored = (rules: PayloadRules, spec: JobSpec): boolean =>
  rules.schema === undefined && (spec.payloadVersion ?? 1) === rules.version;

/** Whether newer code than this enqueued it. */
export const isOfNewerCode = (rules: PayloadRules, { payloadVersion = 1 }: JobSpec): boolean =>
  payloadVersion > rules.version;

/**
 * What the handler of a stored job gets: upgraded, where it was enqueued for an older version, then checked.
 * @throws PayloadInvalidError
 */
export function preparedPayload(rules: PayloadRules, spec: JobSpec): Uint8Array | Promise<Uint8Array> {
  const { payloadVersion = 1 } = spec;
  const payload = decode(spec.payload);
  if (payloadVersion === rules.version) return outputOf(rules, payload, 'payload');
  const what = `payload of version ${payloadVersion}`;
  const failed = (thrown: unknown): never => {
    const message = `Expected a ${what} that \`upgrade\` of job type ${rules.name} can take, but it threw: ${messageOf(thrown)}`;
    throw new PayloadInvalidError(message, [], { cause: asError(thrown) });
  };
  const upgraded = called(() => rules.upgrade?.(payload, payloadVersion), failed);
  return after(upgraded, (value) =>
    outputOf(rules, value, `payload upgraded from version ${payloadVersion}`),
  );
}

/** Whether something is to be awaited, whatever realm or library its promise is of. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isObject && 'then' in value && typeof value.then === 'function';
}

const limitOf = ({ name, maxPayloadBytes }: PayloadRules): SizeLimit => ({
  maxBytes: maxPayloadBytes,
  advice: () =>
    `Raise \`maxPayloadBytes\` of job type ${name}, or store the data elsewhere and enqueue where it is`,
});

/** What the schema makes of a payload, encoded; without one the payload itself. */
function outputOf(rules: PayloadRules, payload: unknown, what: string): Uint8Array | Promise<Uint8Array> {
  const { name, schema } = rules;
  if (schema === undefined) return encode(payload, what);
  const failed = (thrown: unknown): never => {
    const message = `Expected a ${what} that the schema of job type ${name} can check, but it threw: ${messageOf(thrown)}`;
    throw new PayloadInvalidError(message, [], { cause: asError(thrown) });
  };
  return after(
    called(() => schema['~standard'].validate(payload), failed),
    (result) => {
      const { issues, value } = readResult(result, failed);
      if (issues) throw new PayloadInvalidError(describe(issues, name, what), issues);
      return encode(value, 'transformed payload');
    },
  );
}

/** One that can be kept: with keys instead of whatever else stands for them. */
interface PlainIssue extends StandardSchemaV1.Issue {
  readonly path?: readonly (string | number)[];
}

interface Answer {
  readonly issues?: readonly PlainIssue[];
  readonly value?: unknown;
}

/** A schema is somebody else's code: what it answers is looked at before it is believed. */
function readResult(result: unknown, failed: (thrown: unknown) => never): Answer {
  try {
    if (typeof result !== 'object' || result === null)
      throw new TypeError(`expected its validate() to return { value } or { issues }, got: ${show(result)}`);
    const { issues, value } = result as { issues?: unknown; value?: unknown };
    if (!issues) return { value };
    if (!Array.isArray(issues))
      throw new TypeError(`expected its issues to be an array, got: ${show(issues)}`);
    return { issues: Array.from(issues, plainIssue) };
  } catch (thrown) {
    return failed(thrown);
  }
}

/** Without what else validators put into an issue, such as the value itself: it is kept with the job. */
function plainIssue(issue: StandardSchemaV1.Issue): PlainIssue {
  const said: unknown = issue.message;
  const message = typeof said === 'string' ? said : show(said);
  if (!issue.path) return { message };
  const keys = Array.from(issue.path, (step) => (typeof step === 'object' ? step.key : step));
  return {
    message,
    path: keys.map((key) => (typeof key === 'string' || typeof key === 'number' ? key : show(key))),
  };
}

function describe(issues: readonly PlainIssue[], name: string, what: string): string {
  const listed = issues.slice(0, MAX_LISTED).map(({ message, path = [] }) => {
    return `${message} at payload${path.map(stepOf).join('')}`;
  });
  const others = issues.length - listed.length;
  if (others > 0) listed.push(`and ${others} more`);
  return `Expected a ${what} that the schema of job type ${name} accepts: ${listed.join('; ')}`;
}

function stepOf(key: string | number): string {
  if (typeof key === 'number') return `[${key}]`;
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** What a function of the user's gives, now or later. @param failed Throws in place of what that threw. */
function called(run: () => unknown, failed: (thrown: unknown) => never): unknown {
  try {
    const value = run();
    return isThenable(value) ? Promise.resolve(value).catch(failed) : value;
  } catch (thrown) {
    return failed(thrown);
  }
}

/** Goes on at once where there is nothing to wait for. */
function after<Next>(value: unknown, go: (value: unknown) => Next | Promise<Next>): Next | Promise<Next> {
  return isInstance(value, Promise) ? value.then(go) : go(value);
}
