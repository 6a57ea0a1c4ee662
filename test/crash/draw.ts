/** Draws what is enqueued: a job type, what its attempts do, and options. */
import type { Durability, EnqueueOptions } from '../../src/index.js';
import { TERMS, type Name, type queues, type Tuning, NAMED } from './catalogue.js';
import type { Act, Work } from './handler.js';
import { KEPT_MS } from './lives.js';
import type { Random } from './random.js';

type Acts = Work['acts'];
type Options = EnqueueOptions<keyof typeof queues>;

interface Share {
  readonly name: Name;
  readonly weight: number;
}

const QUICK: Act = { do: 'return' };
/** What ends with a word of the engine's, or takes its thread with it. */
const UNBENDING: readonly [Act, ...Act[]] = [
  { do: 'poll' },
  { do: 'block' },
  { do: 'crunch' },
  { do: 'exit' },
];
/** What hangs holds up the rest, so it is rare. */
const TYPES: readonly [Share, ...Share[]] = [
  { name: 'tiny', weight: 8 },
  { name: 'work', weight: 3 },
  { name: 'mail', weight: 4 },
  { name: 'narrow', weight: 2 },
  { name: 'batch', weight: 2 },
  { name: 'call', weight: 1.5 },
  { name: 'stuck', weight: 0.8 },
  // It takes a thread some tenths of a second to run out of memory.
  { name: 'greedy', weight: 0.1 },
];
/** A heavy payload, in characters: mostly one that lies in a file of its own. */
const HEAVY = { min: 16 << 10, max: 256 << 10 } as const;
/** So long that another process can find that they wait. */
const LONG_DELAY_MS = { min: 500, max: 3_000 } as const;
/** How many jobs of each type have an id of their own that every process knows. */
const IDS = 40;

/** What the attempts of a job of that type do. */
const ACTS: Readonly<Record<Name, (random: Random) => Acts>> = {
  tiny: (random) => failing(random, random.chance(0.1) ? reporting(random) : QUICK),
  work: (random) => asking(random, random.chance(0.3) ? reporting(random) : working(random, 1, 8)),
  batch: (random) => failing(random, random.chance(0.3) ? { do: 'throw' } : working(random, 0, 4)),
  paced: (random) => failing(random, QUICK),
  tenant: (random) => failing(random, QUICK),
  narrow: (random) => failing(random, working(random, 0, 4)),
  mail: (random) =>
    asking(random, random.chance(0.2) ? reporting(random) : { do: 'wait', ms: random.integer(0, 12) }),
  call: (random) => hanging(random, listening(random)),
  stuck: (random) => hanging(random, random.chance(0.2) ? listening(random) : random.pick(UNBENDING)),
  greedy: (random) => hanging(random, { do: 'hoard' }),
};

/** Some jobs err at their first attempts, some at all, and some give up. */
function failing(random: Random, act: Act): Acts {
  if (random.chance(0.75)) return [act];
  return random.pick<Acts>([
    [{ do: 'throw' }, act],
    [{ do: 'throw' }, { do: 'throw' }, act],
    [{ do: 'throw' }],
    [{ do: 'giveUp' }],
    [{ do: 'snooze', ms: random.integer(0, 30) }, act],
  ]);
}

/** Some ask something of their engine before they do what they do; and err then, or not. */
function asking(random: Random, act: Act): Acts {
  const [first, ...others] = failing(random, act);
  return [asked(random, first), ...others.map((other) => asked(random, other))];
}

function asked(random: Random, next: Act): Act {
  // One that is snoozed says so at its end.
  if (next.do === 'snooze' || random.chance(0.6)) return next;
  if (random.chance(0.5)) return { do: 'follow', count: random.integer(1, 3), next };
  return { do: 'keep', steps: random.integer(1, 3), next };
}

/** Some hang at each attempt. */
const hanging = (random: Random, act: Act): Acts => [act, random.chance(0.25) ? act : QUICK];
const working = (random: Random, min: number, max: number): Act => ({
  do: random.pick(['spin', 'wait']),
  ms: random.integer(min, max),
});
const reporting = (random: Random): Act => ({ do: 'report', steps: random.integer(1, 6) });
/** Longer than the grace, or not. */
const listening = (random: Random): Act => ({ do: 'listen', ms: random.integer(0, 25) });

export interface Drawn {
  readonly name: Name;
  readonly acts: Acts;
}

export const drawJob = (random: Random, name: Name = random.weighted(TYPES).name): Drawn => ({
  name,
  acts: ACTS[name](random),
});

/** An id that is used again and again, by every process, for the same job type. */
export function drawNamed(random: Random): { name: Name; id: string } {
  const name = random.pick(NAMED);
  return { name, id: `named-${name}-${random.integer(1, IDS)}` };
}

/** Mostly in a moment; sometimes it is over already. */
function drawInstant(random: Random): number | Date {
  const instant = Date.now() + random.integer(-20, 150);
  return random.chance(0.5) ? instant : new Date(instant);
}

/**
 * Jobs whose type is kept: of others that expire nobody need be told, and so they could be gone without anybody's having
 * heard that they ended.
 */
function drawDeadline(random: Random, name: Name): Pick<Options, 'deadline' | 'expiresIn'> {
  if (!(NAMED as readonly Name[]).includes(name) || random.chance(0.85)) return {};
  return random.chance(0.5) ? { deadline: drawInstant(random) } : { expiresIn: random.integer(1, 120) };
}

/** Where attempts hang anyway, sooner or later; elsewhere not within the life of a process. */
const drawTimeout = (random: Random, name: Name): NonNullable<Options['timeout']> =>
  TERMS.endedByForce.has(name) ? random.integer(1, 60) : '10m';

const otherThan = (durability: Durability): Durability => (durability === 'os' ? 'fsync' : 'os');

/** Whoever enqueues a job of such an id asks for the same: the first one makes it. */
export const durabilityOf = (id: string, durability: Durability): Durability =>
  id.endsWith('3') || id.endsWith('7') ? otherThan(durability) : durability;

/** Some have many jobs. */
export const drawKey = (random: Random): string =>
  random.pick(['tenant', 'tenant', 'another', `tenant ${random.integer(1, 400)}`]);

/** @param durability The engine's; some jobs ask for the other. */
export function drawOptions(random: Random, durability: Durability, name: Name): Options {
  const options: Options = drawDeadline(random, name);
  if (random.chance(0.2)) options.delay = random.integer(1, 150);
  else if (random.chance(0.1)) options.runAt = drawInstant(random);
  if (random.chance(0.15)) options.timeout = drawTimeout(random, name);
  if (random.chance(0.25)) options.priority = random.integer(-5, 5);
  if (random.chance(0.1)) options.queue = random.pick(['default', 'low', 'narrow']);
  if (random.chance(0.1)) options.maxAttempts = random.integer(1, 4);
  if (random.chance(0.3)) options.durability = otherThan(durability);
  if (random.chance(0.3)) options.concurrencyKey = drawKey(random);
  return options;
}

/** Of jobs with which something is done before they are due. */
export const drawLongDelay = (random: Random): number => random.integer(LONG_DELAY_MS.min, LONG_DELAY_MS.max);

const BRIEF = { completed: KEPT_MS, failed: KEPT_MS, cancelled: KEPT_MS };

/** How heavy a payload is, in characters. @param share Of the jobs that have a heavy one. */
export function drawWeight(random: Random, share: number, durability: Durability): number | undefined {
  // Of an unsynced job a power cut can take the payload, which lies in a file of its own, and leave the record.
  return random.chance(share) && durability === 'fsync' ? random.integer(HEAVY.min, HEAVY.max) : undefined;
}

export const drawTuning = (random: Random): Tuning => ({
  threads: { count: random.integer(1, 3), batchSize: random.pick([1, 100]), maxHeapMb: 64 },
  selection: random.pick(['weighted', 'strict']),
  // Mostly so short that what one process has finished is gone in the next but one.
  ...(random.chance(0.75) && { retention: BRIEF }),
});
