/**
 * Whatever is done to jobs with unique keys, and however often the process dies: an enqueue gets what a model of a few
 * lines says, which knows of each key who took it last.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { UniqueConflictError, type UniqueKeyOptions } from '../../src/index.js';
import { UniqueBench } from './bench.js';

type While = 'queued' | 'active' | 'retained' | number;
type OnConflict = NonNullable<UniqueKeyOptions['onConflict']>;

type Step =
  | { do: 'enqueue'; key: string; held: While; onConflict: OnConflict; delay: number }
  | { do: 'many'; items: { key: string; onConflict: OnConflict }[] }
  | { do: 'end'; which: number }
  | { do: 'cancel'; which: number }
  | { do: 'pass'; ms: number }
  | { do: 'restart' }
  | { do: 'kill' };

const anyKey = fc.constantFrom('a', 'b');
const anyConflict = fc.constantFrom<OnConflict>('return', 'replace', 'reject');
const anyWhile = fc.constantFrom<While>('queued', 'active', 'retained', 8_000, 70_000);
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      key: anyKey,
      held: anyWhile,
      onConflict: anyConflict,
      delay: fc.constantFrom(0, 5_000, 3_600_000),
    }),
  },
  fc.record({
    do: fc.constant('many' as const),
    items: fc.array(fc.record({ key: anyKey, onConflict: anyConflict }), { minLength: 1, maxLength: 4 }),
  }),
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.record({ do: fc.constant('end' as const), which: fc.nat(20) }),
      fc.record({ do: fc.constant('cancel' as const), which: fc.nat(20) }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(6_000, 90_000) }),
  },
  fc.oneof(
    fc.record({ do: fc.constant('restart' as const) }),
    fc.record({ do: fc.constant('kill' as const) }),
  ),
);

interface Taker {
  readonly id: string;
  readonly held: While;
  readonly enqueuedAt: number;
}

/** What an enqueue comes to: a job of its own, another's, or a refusal that names that. */
type Came = { readonly is: 'new' | 'returned' | 'refused'; readonly id: string };

class Model {
  readonly bench: UniqueBench;
  readonly #last = new Map<string, Taker>();
  readonly #ids: string[] = [];

  constructor(bench: UniqueBench) {
    this.bench = bench;
  }

  async take(step: Step): Promise<void> {
    const { bench } = this;
    if (step.do === 'pass') await bench.pass(step.ms);
    else if (step.do === 'kill') await bench.restart();
    else if (step.do === 'restart') {
      await bench.stop();
      await bench.start();
    } else if (step.do === 'end') {
      const id = bench.held[step.which % Math.max(1, bench.held.length)];
      if (id !== undefined) await bench.letGo(id);
    } else if (step.do === 'cancel') await this.#cancel(step.which);
    else if (step.do === 'enqueue') await this.#enqueue(step);
    else if (step.do === 'many') await this.#enqueueMany(step.items);
  }

  async #cancel(which: number): Promise<void> {
    const id = this.#ids[which % Math.max(1, this.#ids.length)];
    if (id === undefined || (await this.bench.stateOf(id)) === undefined) return;
    const cancelling = this.bench.engine.cancel(id);
    // One that runs is ended after its grace.
    await this.bench.pass(10);
    await cancelling;
    await this.bench.store.quiet();
  }

  async #enqueue({ key, held, onConflict, delay }: Extract<Step, { do: 'enqueue' }>): Promise<void> {
    const { bench } = this;
    const holder = await this.#holderOf(key);
    const before = holder && (await bench.stateOf(holder));
    const now = bench.clock.now();
    const came = await bench
      .enqueue({ uniqueKey: { key, while: held, onConflict }, delay })
      .then((id): Came => ({ is: id === holder ? 'returned' : 'new', id }), refused);
    const gives = before !== undefined && before !== 'running';
    const isMade = holder === undefined || (onConflict === 'replace' && (gives || before === undefined));
    if (isMade) {
      expect(came.is).toBe('new');
      this.#took(key, { id: came.id, held, enqueuedAt: now });
      if (gives && onConflict === 'replace')
        expect(await bench.stateOf(holder ?? '')).toBe(isWaiting(before) ? 'cancelled' : before);
    } else expect(came).toEqual({ is: onConflict === 'return' ? 'returned' : 'refused', id: holder });
  }

  /** All wait for an hour: so what comes of each is seen by the next. */
  async #enqueueMany(items: readonly { key: string; onConflict: OnConflict }[]): Promise<void> {
    const { bench } = this;
    const now = bench.clock.now();
    const holders = new Map<string, string>();
    for (const key of ['a', 'b']) {
      const holder = await this.#holderOf(key);
      if (holder !== undefined) holders.set(key, holder);
    }
    const running = new Set<string>();
    for (const id of holders.values()) if ((await bench.stateOf(id)) === 'running') running.add(id);
    // Whom each item asks for, by the indices of new ones.
    const expected: (number | string)[] = [];
    const current = new Map<string, number | string>(holders);
    let refusal = false;
    for (const [i, { key, onConflict }] of items.entries()) {
      const holder = current.get(key);
      if (holder !== undefined && onConflict === 'return') expected.push(holder);
      else if (holder !== undefined && (onConflict === 'reject' || running.has(String(holder))))
        refusal = true;
      else {
        for (const [j, one] of expected.entries())
          if (one === holder && typeof one === 'number') expected[j] = i;
        expected.push(i);
        current.set(key, i);
      }
    }
    const enqueued = bench.engine.enqueueMany(
      items.map(({ key, onConflict }) => ({
        name: 'work',
        options: { delay: '1h', uniqueKey: { key, onConflict } },
      })),
    );
    const total = Object.values(await bench.engine.counts()).reduce((sum, count) => sum + count, 0);
    if (refusal) {
      await expect(enqueued).rejects.toThrow(/^items\[\d\]: .*unique key/);
      expect(Object.values(await bench.engine.counts()).reduce((sum, count) => sum + count, 0)).toBe(total);
      return;
    }
    const ids = (await enqueued).map(({ id }) => id);
    await bench.store.quiet();
    expect(ids).toEqual(expected.map((one) => (typeof one === 'number' ? ids[one] : one)));
    for (const [key, taker] of current) {
      if (typeof taker !== 'number') continue;
      this.#took(key, { id: ids[taker] ?? '', held: 'active', enqueuedAt: now });
    }
  }

  #took(key: string, taker: Taker): void {
    this.#last.set(key, taker);
    this.#ids.push(taker.id);
  }

  async #holderOf(key: string): Promise<string | undefined> {
    const last = this.#last.get(key);
    if (!last) return undefined;
    const { id, held, enqueuedAt } = last;
    const state = await this.bench.stateOf(id);
    const hasBegun = this.bench.told.includes(`started ${id}`);
    const isLive = state !== undefined && !['completed', 'failed', 'cancelled'].includes(state);
    const isHeld =
      typeof held === 'number'
        ? enqueuedAt + held > this.bench.clock.now()
        : { queued: isLive && !hasBegun, active: isLive, retained: state !== undefined }[held];
    return isHeld ? id : undefined;
  }
}

const isWaiting = (state: string | undefined): boolean => state === 'scheduled' || state === 'available';

function refused(thrown: unknown): Came {
  if (thrown instanceof UniqueConflictError) return { is: 'refused', id: thrown.jobId };
  throw thrown;
}

test('every enqueue gets what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 25 }), async (steps) => {
      const bench = await UniqueBench.make();
      const model = new Model(bench);
      for (const step of steps) await model.take(step);
      // When nobody holds any, nothing is left of them.
      for (const id of bench.held) await bench.letGo(id);
      for (let hours = 0; hours < 3; hours++) {
        await bench.pass(3_700_000);
        for (const id of bench.held) await bench.letGo(id);
      }
      expect(bench.entries).toEqual([]);
      // Whoever is killed twice while it runs is taken for a suspect.
      expect(bench.warnings.filter(({ code }) => code !== 'MILLRACE_JOB_SUSPECT')).toEqual([]);
      await bench.stop();
    }),
    { numRuns: 60 },
  );
});
