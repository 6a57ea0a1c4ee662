/**
 * Why a job is not running, put in order and in words. Pure: reasons go in, and come out with the most decisive one
 * first, and as one sentence.
 */
import type { BusyJob, Explanation, LimitReached, OpenParent, Reason } from '../explanation.js';

export type Explained = Pick<Explanation, 'id' | 'name' | 'queue' | 'state'>;

type Kind = Reason['reason'];
type ReasonOf<K extends Kind> = Extract<Reason, { readonly reason: K }>;

/**
 * How each kind is told. `lead` makes the sentence when it comes first, behind the job's name; without one that is
 * "is available, and waits because …". Behind another reason it is the `clause`. The most decisive kinds come first.
 */
type Telling<K extends Kind> = {
  readonly clause: (reason: ReasonOf<K>, job: Explained) => string;
  readonly lead?: (reason: ReasonOf<K>, job: Explained) => string;
};

const TELLINGS: { readonly [K in Kind]: Telling<K> } = {
  running: { clause: () => 'it is running', lead: leadOfRunning },
  ended: { clause: ({ state }) => `it is ${state}`, lead: leadOfEnded },
  engineClosing: { clause: () => 'the engine is closing, and starts nothing more' },
  journalFailed: {
    clause: ({ error, forMs }) => `the journal has not been writable for ${inWords(forMs)} (${brief(error)})`,
  },
  deadlinePassed: {
    clause: ({ deadlineAt }) => `its deadline of ${instant(deadlineAt)} has come`,
    lead: ({ deadlineAt }, { state }) =>
      `is ${state}, and about to fail: its deadline of ${instant(deadlineAt)} has come`,
  },
  waitingForParents: {
    clause: (reason) => `it ${leadOfParents(reason)}`,
    lead: leadOfParents,
  },
  scheduled: {
    clause: ({ dueAt }) => `it is not due before ${instant(dueAt)}`,
    lead: ({ dueAt, inMs, snoozed, error }) =>
      `${snoozed ? 'was put off until' : 'is scheduled for'} ${instant(dueAt)}, in ${inWords(inMs)}${error === undefined ? '' : ` (${brief(error)})`}`,
  },
  retrying: {
    clause: ({ dueAt }) => `its next attempt is not due before ${instant(dueAt)}`,
    lead: ({ dueAt, inMs, attempt, error }) =>
      `is tried again at ${instant(dueAt)}, in ${inWords(inMs)}, for attempt ${attempt} errored (${brief(error)})`,
  },
  queueUnknown: { clause: ({ queue }) => `the code knows no queue ${queue}` },
  handlerUnknown: { clause: ({ name }) => `the code knows no job type ${name}` },
  codeOlder: {
    clause: ({ name, payloadVersion, version }) =>
      `it was enqueued for version ${payloadVersion} of ${name}, and the code has version ${version}`,
  },
  enginePaused: { clause: () => 'all queues are paused' },
  queuePaused: { clause: ({ queue }) => `queue ${queue} is paused` },
  held: { clause: () => 'it is being changed at this moment' },
  handlerLingering: { clause: () => 'the handler of an earlier attempt has not gone yet' },
  runsAlone: {
    clause: () => 'it runs alone, when nothing else does, for its process crashed twice while it ran',
  },
  suspectFirst: {
    clause: ({ id }) => `job ${id} runs alone first, for its process crashed twice while that ran`,
  },
  queueBusy: {
    clause: (reason) => `queue ${reason.queue} runs ${reached(reason, ' jobs')}`,
  },
  typeBusy: {
    clause: (reason) => `job type ${reason.name} runs ${reached(reason)}`,
  },
  keyBusy: {
    clause: (reason) => `job type ${reason.name} with the key ${brief(reason.key)} runs ${reached(reason)}`,
  },
  nativeBusy: {
    clause: ({ running, limit }) =>
      `libuv's pool has ${running} of ${limit} native jobs at once (raise UV_THREADPOOL_SIZE)`,
  },
  rateLimited: {
    clause: ({ by, name, key, untilAt, inMs }) => {
      const limited = by === 'queue' ? `queue ${name}` : name;
      const whose = key === undefined ? limited : `${limited} for the key ${brief(key)}`;
      return `the rate limit of ${whose} allows no start until ${instant(untilAt)}, in ${inWords(inMs)}`;
    },
  },
  readFailed: { clause: () => 'the waiting jobs could not be read from the journal, which is tried again' },
  threadsUnavailable: {
    clause: ({ error, inMs }) =>
      `no thread could be started (${brief(error)}), which is tried again in ${inWords(inMs)}`,
  },
  threadsStarting: { clause: () => 'no thread is ready yet' },
  threadsBusy: { clause: clauseOfThreads },
  heavierQueues: {
    clause: ({ queues }) =>
      `${queues.length === 1 ? 'queue' : 'queues'} ${listed(queues)} ${queues.length === 1 ? 'comes' : 'come'} first`,
  },
  behind: {
    clause: ({ jobs, more }) =>
      `${more ? 'more than ' : ''}${counted(jobs, 'job')} ${jobs === 1 && !more ? 'is' : 'are'} before it`,
  },
  aboutToStart: {
    clause: () => 'it should start at any moment',
    lead: (_reason, { state }) =>
      `is ${state}, and nothing holds it back: it should ${state === 'available' ? 'start' : 'be available'} at any moment`,
  },
};

const RANKS = new Map(Object.keys(TELLINGS).map((kind, rank) => [kind, rank]));
const rankOf = ({ reason }: Reason): number => RANKS.get(reason) ?? Infinity;

/** The most decisive one first. */
export function ranked(reasons: readonly Reason[]): Reason[] {
  return reasons.toSorted((a, b) => rankOf(a) - rankOf(b));
}

/** @param reasons Ranked, at least one. */
export function summaryOf(job: Explained, [first, ...others]: readonly Reason[]): string {
  const lead = first ? leadOf(first, job) : `is ${job.state}`;
  const clauses = others.map((reason) => tellingOf(reason).clause(reason, job));
  return `Job ${job.name} ${job.id} ${[lead, ...clauses].join('; ')}.`;
}

function leadOf(reason: Reason, job: Explained): string {
  const { lead, clause } = tellingOf(reason);
  return lead ? lead(reason, job) : `is ${job.state}, and waits because ${clause(reason, job)}`;
}

/** The telling of a reason's kind takes that kind: the type of the table says so, kind by kind. */
const tellingOf = (reason: Reason): Telling<Kind> => TELLINGS[reason.reason] as Telling<Kind>;

function leadOfRunning({ attempt, forMs, thread, stopping, threadEnding }: ReasonOf<'running'>): string {
  const where = thread === undefined ? '' : ` in thread ${thread}`;
  const told = `has been running for ${inWords(forMs)}${where}, in attempt ${attempt}`;
  if (threadEnding) return `${told}, and its thread was ended and has not gone yet`;
  return stopping ? `${told}, and was told to stop and has not gone yet` : told;
}

function leadOfEnded({ state, finishedAt, error, cancelReason }: ReasonOf<'ended'>): string {
  const verb = state === 'cancelled' ? 'was cancelled' : state;
  const when = finishedAt === undefined ? '' : ` at ${instant(finishedAt)}`;
  const why = error ?? cancelReason;
  return `${verb}${when}${why === undefined ? '' : ` (${brief(why)})`}`;
}

function leadOfParents({ count, parents }: ReasonOf<'waitingForParents'>): string {
  const told = `waits for ${counted(count, 'parent')}`;
  if (parents.length === 0) return `${told}, whose end it is about to be told`;
  const some = parents.map(({ key, state }: OpenParent) => `${key} (${state})`);
  return `${told}: ${listed(some, count)}`;
}

/** How many run of how many may, and which they are. */
function reached({ running, limit, jobs }: LimitReached, noun = ''): string {
  const some = jobs.slice(0, MAX_NAMED).map(inShort);
  return `${running} of ${limit}${noun} at once${some.length === 0 ? '' : ` (${listed(some, jobs.length)})`}`;
}

const inShort = ({ name, id }: BusyJob): string => `${name} ${id}`;

function clauseOfThreads({ threads, forMs, jobs, ending }: ReasonOf<'threadsBusy'>): string {
  const some = jobs.slice(0, MAX_NAMED).map(inShort);
  const all = threads === 1 ? 'the only thread has' : `all ${threads} threads have`;
  const upTo = threads === 1 ? '' : 'up to ';
  const gone =
    ending === 0 ? '' : `, and ${ending} of them ${ending === 1 ? 'was' : 'were'} ended and not gone yet`;
  return `${all} been busy for ${upTo}${inWords(forMs)} with ${listed(some, threads)}${gone}`;
}

/** @param of How many there are in all. */
function listed(some: readonly string[], of = some.length): string {
  if (of > some.length) return `${some.join(', ')} and ${grouped(of - some.length)} more`;
  return [some.slice(0, -1).join(', '), ...some.slice(-1)].filter((part) => part !== '').join(' and ');
}

const grouped = (count: number): string => count.toLocaleString('en-US');

const counted = (count: number, noun: string): string => `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;

const MAX_MESSAGE = 120;
/** So many jobs that are at work are named. */
const MAX_NAMED = 3;

/** An error's message, as far as it fits into a sentence. */
function brief(message: string): string {
  const text = message.trim().replaceAll(/\s+/g, ' ');
  if (text === '') return 'without a message';
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}

/** Beyond the last day that a `Date` knows there is no text for it. */
export function instant(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? `${at} ms` : date.toISOString();
}

const UNITS = [
  { unit: 'days', ms: 86_400_000 },
  { unit: 'h', ms: 3_600_000 },
  { unit: 'min', ms: 60_000 },
  { unit: 's', ms: 1_000 },
] as const;

/** Of two of its unit at least, or of seconds: "90 s", "2 min", "1.5 s". */
function inWords(durationMs: number): string {
  for (const { unit, ms } of UNITS) {
    if (durationMs >= (unit === 's' ? 1 : 2) * ms)
      return `${Math.round((10 * durationMs) / ms) / 10} ${unit}`;
  }
  return `${Math.round(durationMs)} ms`;
}
