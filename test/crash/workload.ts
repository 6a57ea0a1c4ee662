/**
 * The process that is killed: `workload.js JOURNAL FACTS DURABILITY SEED CYCLE HEAVY`. It opens an engine and does one
 * operation after the other, at random, until it dies. HEAVY is the share of its jobs whose payload is heavy.
 */
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { MillraceError, type Durability } from '../../src/index.js';
import { BATCHES, LOOK } from './controls.js';
import { drawNamed, drawTuning } from './draw.js';
import { tell as record, type Fact } from './facts.js';
import type { Operation } from './operation.js';
import { OPERATIONS } from './operations.js';
import { Random } from './random.js';
import { Session, type Target } from './session.js';

const [, , journal = '', facts = '', durability, seed, cycle, heavy] = process.argv;
const random = new Random(Number(seed), Number(cycle));

function tell(fact: Fact): void {
  record(facts, fact);
  // The parent chooses the moment to kill by these.
  process.send?.(fact.kind);
}

// The harness passes one of the two.
const place = {
  journal,
  facts,
  durability: durability as Durability,
  heavy: Number(heavy),
  tuning: () => drawTuning(random),
};
const session = new Session(place, tell);
let calls = 0;

/** One that this process has heard of, or one that some process may have made. */
function drawTarget(): Target {
  const { known } = session;
  const target = known[random.integer(0, Math.max(0, known.length - 1))];
  return target && random.chance(0.6) ? target : drawNamed(random);
}

async function perform(operation: Operation): Promise<void> {
  const { name, targets } = operation;
  const target = drawTarget();
  const about = targets ? { id: target.id } : {};
  tell({ kind: 'asked', operation: name, ...about });
  try {
    await operation.run({ session, random, target, token: `${cycle}-${calls++}`, report: tell });
  } catch (thrown) {
    // Whatever else it is, it ends this process, and the harness finds that.
    if (!(thrown instanceof MillraceError)) throw thrown;
    tell({ kind: 'refused', operation: name, code: thrown.code, ...about });
  }
}

await session.open();
// What an earlier process was told must be so now.
void perform(LOOK);
// Of its kind there are few, and each is to be answered while its process lives.
void perform(random.pick(BATCHES));
for (;;) {
  void perform(random.weighted(OPERATIONS));
  if (random.chance(0.3)) await turn();
  else await wait(random.integer(1, 4));
}
