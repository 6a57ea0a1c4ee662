/** Who gets into queues with a bound, against all that ever asked. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { Admission, type Bound, type Room } from '../../src/queue/admission.js';

const BOUNDS = new Map<string, Bound>([
  ['a', { maxSize: 3, onFull: 'wait' }],
  ['b', { maxSize: 2, onFull: 'wait' }],
  ['c', { maxSize: 2, onFull: 'reject' }],
]);

type Act =
  /** Somebody wants to get so many jobs into each queue. */
  | { do: 'ask'; a: number; b: number; c: number }
  /** The jobs of somebody who got in are in the journal, or never get there. */
  | { do: 'settle' | 'cancel'; nth: number }
  /** Somebody waits no longer. */
  | { do: 'giveUp'; nth: number }
  /** A job leaves a queue: it is claimed, say. */
  | { do: 'claim'; queue: string }
  /** A job comes that is not asked whether there is room: a retry, say. */
  | { do: 'retry'; queue: string }
  | { do: 'close' | 'open' };

const counts = fc.integer({ min: 0, max: 3 });
const nth = fc.integer({ min: 0, max: 5 });
const queue = fc.constantFrom('a', 'b', 'c');
const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom('ask' as const), a: counts, b: counts, c: counts }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'cancel' as const), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('giveUp' as const), nth }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('claim' as const), queue }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('retry' as const), queue }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('close' as const, 'open' as const) }) },
);

interface Asking {
  readonly needs: ReadonlyMap<string, number>;
  readonly stop: () => void;
}

/** Everybody who waits or is on the way, and how many jobs are there. */
class Model {
  readonly sizes = new Map([...BOUNDS.keys()].map((name) => [name, 0]));
  readonly waiting: Asking[] = [];
  readonly entering: { readonly needs: Asking['needs']; readonly room: Room }[] = [];
  isOpen = true;
  readonly admission = new Admission({
    bounds: BOUNDS,
    sizeOf: (name) => this.sizes.get(name) ?? 0,
    isOpen: () => this.isOpen,
  });

  /** With those that are on the way. */
  usedOf(name: string): number {
    const entering = this.entering.reduce((sum, { needs }) => sum + (needs.get(name) ?? 0), 0);
    return (this.sizes.get(name) ?? 0) + entering;
  }

  fits(needs: Asking['needs']): boolean {
    return [...needs].every(([name, count]) => this.usedOf(name) + count <= (BOUNDS.get(name)?.maxSize ?? 0));
  }

  /** Whether somebody waits before it where it would have to wait as well. */
  isBehind(needs: Asking['needs'], others: readonly Asking[]): boolean {
    return others.some((other) =>
      [...needs.keys()].some((name) => BOUNDS.get(name)?.onFull === 'wait' && other.needs.has(name)),
    );
  }

  perform(act: Act): void {
    switch (act.do) {
      case 'ask':
        return this.#ask(new Map(Object.entries({ a: act.a, b: act.b, c: act.c }).filter(([, n]) => n > 0)));
      case 'settle':
      case 'cancel':
        return this.#end(act.do, act.nth);
      case 'giveUp':
        return this.waiting.at(act.nth % Math.max(1, this.waiting.length))?.stop();
      case 'claim':
        this.sizes.set(act.queue, Math.max(0, (this.sizes.get(act.queue) ?? 0) - 1));
        return this.admission.wake();
      case 'retry':
        this.sizes.set(act.queue, (this.sizes.get(act.queue) ?? 0) + 1);
        return this.admission.wake();
      default:
        this.isOpen = act.do === 'open';
        return this.admission.wake();
    }
  }

  #ask(needs: Asking['needs']): void {
    if (needs.size === 0) return;
    const never = [...needs].some(([name, count]) => count > (BOUNDS.get(name)?.maxSize ?? 0));
    const isFull = this.usedOf('c') + (needs.get('c') ?? 0) > 2 && needs.has('c');
    if (never || isFull) {
      expect(() => this.admission.tryEnter(needs)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_QUEUE_FULL' }),
      );
      return;
    }
    const room = this.admission.tryEnter(needs);
    expect(room !== undefined).toBe(this.fits(needs) && !this.isBehind(needs, this.waiting));
    if (room) this.entering.push({ needs, room });
    else this.#wait(needs);
  }

  #wait(needs: Asking['needs']): void {
    const leave = (): void => void this.waiting.splice(this.waiting.indexOf(asking), 1);
    const end = this.admission.wait({
      needs,
      enter: (room) => {
        // In order, and never too many.
        expect(this.isBehind(needs, this.waiting.slice(0, this.waiting.indexOf(asking)))).toBe(false);
        expect(this.fits(needs)).toBe(true);
        leave();
        this.entering.push({ needs, room });
      },
      refuse: leave,
    });
    const stop = (): void => {
      leave();
      end();
    };
    const asking: Asking = { needs, stop };
    this.waiting.push(asking);
  }

  #end(how: 'settle' | 'cancel', at: number): void {
    const [ended] = this.entering.splice(at % Math.max(1, this.entering.length), 1);
    if (!ended) return;
    if (how === 'cancel') return ended.room.cancel();
    for (const [name, count] of ended.needs) this.sizes.set(name, (this.sizes.get(name) ?? 0) + count);
    ended.room.settle();
    this.admission.wake();
  }
}

test('whoever fits gets in, in order, and there are never too many', () => {
  fc.assert(
    fc.property(fc.array(acts, { maxLength: 60 }), (steps) => {
      const model = new Model();
      for (const step of steps) {
        model.perform(step);
        // Nobody waits who could get in.
        for (const [i, { needs }] of model.isOpen ? model.waiting.entries() : [])
          expect(model.fits(needs) && !model.isBehind(needs, model.waiting.slice(0, i))).toBe(false);
      }
      model.admission.close(new MillraceError('MILLRACE_CLOSED', 'closed'));
      expect(model.waiting).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});
