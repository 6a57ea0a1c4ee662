/** A job of a flow whose record is damaged on the disk: the others go on as if it had failed. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type MillraceEvents } from '../../src/index.js';
import { damage } from '../fixtures/damage.js';
import { bench } from '../fixtures/engine.js';
import { scriptedInline } from '../fixtures/scripted-jobs.js';

const corrupt = 'MILLRACE_JOURNAL_CORRUPT';
const jobs = {
  note: inlineJob((label: string) => label),
  results: scriptedInline(),
  again: scriptedInline({ maxAttempts: 2, backoff: [300] }),
  hang: inlineJob(() => new Promise(() => {}), { grace: 1 }),
};

/** Each kind of child of one, and a child of a child. */
const children = (parent: string) =>
  ({
    failing: { name: 'note', payload: 'failing', parents: [parent], options: { id: 'failing' } },
    below: { name: 'note', payload: 'below', parents: ['failing'], options: { id: 'below' } },
    cancelled: {
      name: 'note',
      payload: 'cancelled',
      parents: [parent],
      onParentFailure: 'cancel',
      options: { id: 'cancelled' },
    },
    ignoring: {
      name: 'results',
      payload: { do: 'parentResults' },
      parents: [parent, 'done'],
      onParentFailure: 'ignore',
      options: { id: 'ignoring' },
    },
    done: { name: 'note', payload: 'done', options: { id: 'done' } },
  }) as const;

/** How the job that is damaged waits when it is. */
const parents = {
  scheduled: async (mill) => {
    await mill.enqueueFlow({
      ...children('bad'),
      bad: { name: 'note', payload: 'bad', options: { id: 'bad', delay: 300 } },
    });
  },
  retryable: async (mill) => {
    const retrying = new Promise((resolve) => mill.on('retrying', resolve));
    await mill.enqueueFlow({
      ...children('bad'),
      bad: { name: 'again', payload: { do: 'throw' }, options: { id: 'bad' } },
    });
    await retrying;
  },
  available: async (mill) => {
    await mill.pause();
    await mill.enqueueFlow({
      ...children('bad'),
      bad: { name: 'note', payload: 'bad', options: { id: 'bad' } },
    });
  },
  waiting: async (mill) => {
    await mill.enqueueFlow({
      ...children('bad'),
      bad: { name: 'note', payload: 'bad', parents: ['first'], options: { id: 'bad' } },
      first: { name: 'note', payload: 'first', options: { delay: 300 } },
    });
  },
} satisfies Record<string, (mill: Millrace<typeof jobs>) => Promise<unknown>>;

test.each([
  ['scheduled', 'j'],
  ['retryable', 's'],
  ['available', 'j'],
  ['waiting', 'j'],
] as const)('one that is %s (%s!)', async (how, record) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await parents[how](mill);
  await mill.close();
  expect(await damage(options.directory, `${record}!bad`)).toBe(1);
  await expectTold(closing(await Millrace.open({ ...options, jobs })));
});

test('one that ran when its process died', async () => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const started = new Promise((resolve) => mill.on('started', ({ id }) => id === 'bad' && resolve(id)));
  await mill.enqueueFlow({ ...children('bad'), bad: { name: 'hang', options: { id: 'bad' } } });
  await started;
  // In a copy it is an orphan.
  const copy = `${directory}/copy`;
  await mill.backup(copy);
  expect(await damage(copy, 'j!bad')).toBe(1);
  await expectTold(closing(await Millrace.open({ ...options, directory: copy, jobs })));
});

async function expectTold(mill: Millrace<typeof jobs>): Promise<void> {
  const warnings: MillraceEvents['warning'][] = [];
  mill.on('warning', (warning) => warnings.push(warning));
  await mill.resume();
  await expect(mill.handle('note', 'below').result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_PARENT_FAILED' },
  });
  await expect(mill.handle('note', 'failing').result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_PARENT_FAILED', message: expect.stringContaining('bad') },
  });
  await expect(mill.handle('note', 'cancelled').result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_CANCELLED',
  });
  expect(await mill.handle('results', 'ignoring').result()).toEqual({ done: 'done' });
  expect(warnings).toContainEqual(expect.objectContaining({ code: corrupt }));
  // Nobody is left who could ask for it.
  expect(await mill.remove('done')).toBe(true);
}

test('for how many a job still waits is damaged: it is counted anew, and other flows go on', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const end = { name: 'results', payload: { do: 'parentResults' } } as const;
  await mill.enqueueFlow({
    soon: { name: 'note', payload: 'soon', options: { delay: 300 } },
    late: { name: 'note', payload: 'late', options: { id: 'late', delay: '1h' } },
    end: { ...end, parents: ['soon', 'late'], options: { id: 'end' } },
  });
  const other = await mill.enqueueFlow({
    soon: { name: 'note', payload: 'soon', options: { delay: 300 } },
    end: { ...end, parents: ['soon'] },
  });
  await mill.close();
  await damage(options.directory, 'v!');
  const again = closing(await Millrace.open({ ...options, jobs }));
  expect(await again.handle('results', other.end.id).result()).toEqual({ soon: 'soon' });
  expect(await again.job('end')).toMatchObject({ state: 'waiting' });
  await again.promote('late');
  expect(await again.handle('results', 'end').result()).toEqual({ soon: 'soon', late: 'late' });
});
