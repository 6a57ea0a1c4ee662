/**
 * Has the payload of a claimed job ready for its handler where that is not what is stored: upgraded, and checked once
 * more. The job type's functions run on the event loop, for a schema is an object of the app's and no thread has it.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, isInstance, MillraceError, PayloadInvalidError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import type { Outcome } from '../job/outcome.js';
import { isOfNewerCode, preparedPayload, type PayloadRules } from '../job/payload.js';
import { isPayloadLost } from '../job/payload-file.js';
import type { JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';

/** What the handler gets, or what the attempt comes to without it. */
export type Prepared = Uint8Array | Outcome;

export interface PreparationLinks {
  readonly clock: Clock;
  readonly journal: Pick<Journal, 'payloadOf'>;
  readonly onWarning: (error: MillraceError) => void;
}

/** What newer code enqueued is looked at again so long after. */
const NEWER_AFTER_MS = 300_000;
/** A schema that has not answered for so long will not: until then its job keeps a place in a pool. */
const LIMIT_MS = 30_000;
/** How many issues are kept with a job. */
const MAX_ISSUES = 20;

export class Preparation {
  readonly #links: PreparationLinks;
  /** Types whose schema or `upgrade()` returned a promise. */
  readonly #late = new Set<string>();
  /** Types of which newer jobs were told. */
  readonly #told = new Set<string>();
  /** Of jobs whose type's functions have not come back: when they are waited for no longer. */
  readonly #limits = new Map<string, Timer>();

  constructor(links: PreparationLinks) {
    this.#links = links;
  }

  /** Whether jobs of the type start a while after they were claimed, so that none should share a message with them. */
  isLate(name: string): boolean {
    return this.#late.has(name);
  }

  /** @returns a promise where the type's functions gave one; it never rejects. */
  prepare(rules: PayloadRules, spec: JobSpec): Prepared | Promise<Prepared> {
    if (isOfNewerCode(rules, spec)) return this.#postponed(rules, spec);
    if (spec.payloadFile) return this.#later(rules, spec, this.#read(rules, spec));
    try {
      const payload = preparedPayload(rules, spec);
      return payload instanceof Promise ? this.#later(rules, spec, payload) : payload;
    } catch (thrown) {
      return refused(thrown);
    }
  }

  /** Nobody waits for what the job's handler is to get any more: what {@link prepare} gave may never resolve. */
  forget(id: string): void {
    this.#limits.get(id)?.cancel();
    this.#limits.delete(id);
  }

  async #read(rules: PayloadRules, spec: JobSpec): Promise<Uint8Array> {
    return preparedPayload(rules, { ...spec, payload: await this.#links.journal.payloadOf(spec) });
  }

  #later(
    { name }: PayloadRules,
    { id }: JobSpec,
    preparing: Promise<Uint8Array>,
  ): Prepared | Promise<Prepared> {
    const payload = preparing.catch((thrown: unknown) =>
      isForGood(thrown) ? refused(thrown) : unread(thrown),
    );
    if (this.#late.has(name)) return this.#within(name, id, payload);
    // Others share its message to a thread, and must not wait: it goes back to its queue, and comes alone from now on.
    this.#late.add(name);
    return { kind: 'released' };
  }

  #within(name: string, id: string, preparing: Promise<Prepared>): Promise<Prepared> {
    return new Promise((resolve) => {
      const settle = (prepared: Prepared): void => {
        // By now another attempt of the job may be prepared.
        if (this.#limits.get(id) !== timer) return;
        this.forget(id);
        resolve(prepared);
      };
      const timer = this.#links.clock.setTimer(() => settle(unanswered(name)), LIMIT_MS);
      this.#limits.set(id, timer);
      void preparing.then(settle);
    });
  }

  #postponed({ name, version }: PayloadRules, { id, payloadVersion }: JobSpec): Outcome {
    const { clock, onWarning } = this.#links;
    if (!this.#told.has(name)) {
      this.#told.add(name);
      const message = `Job ${name} ${id} was enqueued for version ${payloadVersion} of its type, and the code has version ${version}; it and others like it wait for newer code`;
      onWarning(new MillraceError('MILLRACE_PAYLOAD_NEWER', message));
    }
    return { kind: 'postponed', runAt: clock.now() + NEWER_AFTER_MS };
  }
}

/** An attempt like any that takes too long: the next may find that what the schema asks has come back. */
function unanswered(name: string): Outcome {
  const message = `The schema or \`upgrade\` of job type ${name} has not answered for ${LIMIT_MS} ms`;
  const error = encodeError(new MillraceError('MILLRACE_TIMEOUT', message));
  return { kind: 'errored', error, unrecoverable: false };
}

/** Whether the next attempt would find the same. */
const isForGood = (thrown: unknown): boolean =>
  isInstance(thrown, PayloadInvalidError) || isPayloadLost(thrown);

/** Its file could not be opened, say, because too many are. */
const unread = (thrown: unknown): Outcome => ({
  kind: 'errored',
  error: encodeError(thrown),
  unrecoverable: false,
});

function refused(thrown: unknown): Outcome {
  if (isPayloadLost(thrown)) return { kind: 'refused', error: encodeError(thrown) };
  return { kind: 'refused', error: encodeError(asPayloadError(asError(thrown))) };
}

function asPayloadError(error: Error): PayloadInvalidError {
  if (!(error instanceof PayloadInvalidError)) {
    const message = `Expected a payload that can be handed to its handler: ${error.message}`;
    return new PayloadInvalidError(message, [], { cause: error });
  }
  if (error.issues.length <= MAX_ISSUES) return error;
  return new PayloadInvalidError(error.message, error.issues.slice(0, MAX_ISSUES));
}
