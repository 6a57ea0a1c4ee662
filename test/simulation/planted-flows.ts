/** Engines that are wrong in what jobs of flows wait for. */
import { sealText, unsealText } from '../../src/journal/integrity.js';
import { choosing, collecting, writeAll, type Planted } from './wrong.js';

export const PLANTED_FLOWS: Readonly<Record<string, Planted>> = {
  'children are not told of an end': {
    invariant: 'flowStuck',
    wrap: () => ({ store: (store) => choosing(store, (key) => !key.startsWith('n!')) }),
  },
  'a child waits for one of its parents only': {
    invariant: 'flowBroken',
    wrap: () => ({
      store: (store) =>
        collecting(store, (changes, sync) =>
          writeAll(
            store,
            changes.map(([key, value]) =>
              value && key.startsWith('v!') && unsealText(key, value) !== '1'
                ? [key, sealText(key, '1')]
                : [key, value],
            ),
            sync,
          ),
        ),
    }),
  },
};
