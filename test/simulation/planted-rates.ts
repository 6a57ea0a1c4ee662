/** Engines that are wrong in how many attempts they start in a time. */
import type { Settings } from '../../src/options.js';
import { choosing, indexes, type Planted } from './wrong.js';

export const PLANTED_RATES: Readonly<Record<string, Planted>> = {
  'the rate limit of a type is not kept': {
    invariant: 'overRate',
    wrap: () => ({ settings: (own) => unlimited(own, (type) => omit(type, 'rateLimit')) }),
  },
  'the rate limit of a key is not kept': {
    invariant: 'overRate',
    wrap: () => ({ settings: (own) => unlimited(own, (type) => omit(type, 'rateLimitPerKey')) }),
  },
  'how many have started is not journaled': {
    invariant: 'overRate',
    wrap: () => ({ store: (store) => choosing(store, (key) => !key.startsWith('l!')) }),
  },
  'how many of each key have started is not looked up when the journal opens': {
    invariant: 'overRate',
    wrap: () =>
      indexes((own) => ({
        async rates(after, limit) {
          const page = await own.rates(after, limit);
          return { ...page, rates: page.rates.filter(({ name }) => !name.startsWith('k!')) };
        },
      })),
  },
  'starts are counted by the clock that is set': {
    invariant: 'overRate',
    wrap: () => ({
      clock: (own) => ({
        now: () => own.now(),
        monotonic: () => own.now(),
        setTimer: (callback, delayMs) => own.setTimer(callback, delayMs),
      }),
    }),
  },
};

type Types = Settings['types'];
type Type = Types extends ReadonlyMap<string, infer Value> ? Value : never;

function omit(type: Type, limit: 'rateLimit' | 'rateLimitPerKey'): Type {
  const { [limit]: _, ...others } = type;
  return others;
}

const unlimited = (settings: Settings, without: (type: Type) => Type): Settings => ({
  ...settings,
  types: new Map([...settings.types].map(([name, type]) => [name, without(type)])),
});
