/** Engines that are wrong in where large payloads lie. */
import type { JobSpec } from '../../src/job/record.js';
import type { PayloadFiles } from '../../src/journal/payload-files.js';
import { engine, replacing, type Planted } from './wrong.js';
import type { Wraps } from './process.js';

export const PLANTED_FILES: Readonly<Record<string, Planted>> = {
  'payloads of an earlier process go, and their jobs stay': {
    invariant: 'unreadable',
    wrap: () =>
      files((own) => ({ sweep: (_isReferredTo, isStopped) => own.sweep(async () => false, isStopped) })),
  },
  'a payload goes where a write has failed that may have brought its job': {
    invariant: 'unreadable',
    wrap: () => {
      let discard = (): void => {};
      return {
        ...files((own) => ({
          async store(spec) {
            const stored: JobSpec = await own.store(spec);
            discard = () => own.discard(stored.payloadFile ? [stored.payloadFile] : []);
            return stored;
          },
        })),
        ...engine((own) => ({
          async enqueue(name, payload, options) {
            try {
              return await own.enqueue(name, payload, options);
            } catch (thrown) {
              discard();
              throw thrown;
            }
          },
        })),
      };
    },
  },
  'the payload of a job that is removed stays': {
    invariant: 'leftover',
    wrap: () => files(() => ({ discard: () => {} })),
  },
};

const files = (methods: (own: PayloadFiles) => Partial<PayloadFiles>): Wraps => ({
  files: (own) => replacing(own, methods),
});
