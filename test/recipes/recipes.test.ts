/** The README's recipes, each on an engine of its own. */
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import * as email from '../examples/recipes/email.js';
import * as fanOut from '../examples/recipes/fan-out.js';
import * as imageUpload from '../examples/recipes/image-upload.js';
import * as nightly from '../examples/recipes/nightly-clean-up.js';
import * as payment from '../examples/recipes/payment.js';
import * as report from '../examples/recipes/report.js';
import * as tenants from '../examples/recipes/tenants.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Recorder } from '../fixtures/recorder.js';
import { scheduleThat } from '../fixtures/ticking.js';
import { webService, type Answer, type Asked } from './web-service.js';

const threads = { count: 1 };

/** Answers in their order; whatever is asked after them gets the last one. */
function inTurn(answers: readonly [Answer, ...Answer[]]) {
  const asked: Asked[] = [];
  const answer = (one: Asked): Answer => {
    asked.push(one);
    return answers[Math.min(asked.length, answers.length) - 1] ?? answers[0];
  };
  return { asked, answer };
}

test('e-mail with retries: a mail waits for its service, as long as that asks for, and is sent once', async () => {
  const { asked, answer } = inTurn([
    { status: 503 },
    { status: 429, headers: { 'retry-after': '45' } },
    { status: 202 },
  ]);
  await webService('MAIL_SERVICE', answer);
  const { options, closing, logger } = await bench();
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs: email.jobs, threads, clock }));
  const events = record(mill, 'retrying', 'failed');
  const user = { id: '7', email: 'ada@example.com' };

  const job = await email.welcome(mill, user);
  await mill.drain();
  const { runAt = 0 } = await job.snapshot();
  // Half of the wait of 5 s is drawn.
  expect(runAt - clock.now()).toBeGreaterThanOrEqual(2_500);
  expect(runAt - clock.now()).toBeLessThanOrEqual(5_000);
  await clock.armed(runAt - clock.now());
  await clock.advance(runAt - clock.now());
  await logger.lines.until(({ message }) => message.includes('was snoozed'));
  const putOff = await job.snapshot();
  expect(putOff).toMatchObject({ state: 'scheduled', attempt: 1, snoozes: 1, runAt: clock.now() + 45_000 });
  await clock.armed(45_000);
  await clock.advance(44_999);
  expect(asked).toHaveLength(2);
  await clock.advance(1);
  await job.result();

  expect(await job.snapshot()).toMatchObject({ state: 'completed', attempt: 2, errors: [{ attempt: 1 }] });
  expect(events.all.map(([event]) => event)).toEqual(['retrying']);
  // The same mail in the same words, which is how the service knows it again.
  const sent = {
    url: '/messages',
    key: 'welcome-7',
    body: expect.stringContaining('"to":"ada@example.com"'),
  };
  expect(asked).toEqual([sent, sent, sent]);

  await (await email.welcome(mill, user)).result();
  expect(asked).toHaveLength(3);
});

/** Noise, which no format makes small. */
async function photograph(): Promise<Uint8Array> {
  const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
  const create = { width: 1_200, height: 900, channels: 3, background: 'grey', noise } as const;
  return sharp({ create }).png({ compressionLevel: 0 }).toBuffer();
}

test('image upload: the bytes of a photograph of some megabytes become a thumbnail', async () => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: imageUpload.jobs, threads }));
  const upload = { id: 'a', bytes: await photograph() };
  const thumbnail = join(directory, 'thumbnails', 'a.webp');
  expect(upload.bytes.length).toBeGreaterThan(3_000_000);

  const job = await imageUpload.takePhoto(mill, upload, thumbnail);
  expect(await job.result()).toMatchObject({ outputs: [{ width: 320, height: 320, format: 'webp' }] });
  const { format, width, height } = await sharp(thumbnail).metadata();
  expect({ format, width, height }).toEqual({ format: 'webp', width: 320, height: 320 });

  const { mtimeMs } = await stat(thumbnail);
  await (await imageUpload.takePhoto(mill, upload, thumbnail)).result();
  expect((await stat(thumbnail)).mtimeMs).toBe(mtimeMs);
});

test('image upload: what is no photograph fails at once', async () => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: imageUpload.jobs, threads }));
  const upload = { id: 'b', bytes: new TextEncoder().encode('not a photograph') };
  const job = await imageUpload.takePhoto(mill, upload, join(directory, 'b.webp'));
  await expect(job.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    attempt: 1,
    cause: { code: 'MILLRACE_UNRECOVERABLE' },
  });
});

test('report with progress: after a restart it shows how far it was, and goes on from there', async () => {
  const { options, closing, directory } = await bench();
  const folder = join(directory, 'orders');
  await mkdir(folder);
  const months = ['2026-01', '2026-02', '2026-03', '2026-04'];
  const write = (month: string) => writeFile(join(folder, `${month}.json`), '[{"cents":150},{"cents":250}]');
  // That of April is still missing.
  for (const month of months.slice(0, 3)) await write(month);
  const openOptions = { ...options, jobs: report.jobs, threads };

  const before = await Millrace.open(openOptions);
  closing(before);
  const events = record(before, 'retrying');
  const { id } = await report.startReport(before, folder, months);
  await events.reached(1);
  await before.close();

  // What was read before is not read again.
  for (const month of months.slice(0, 3)) await rm(join(folder, `${month}.json`));
  await write('2026-04');
  const mill = closing(await Millrace.open(openOptions));
  const shown: unknown[] = [];
  const followed = report.followReport(mill, id, (progress) => {
    shown.push(progress);
    // Somebody is looking; before, it waits for its next attempt.
    if (shown.length === 1) void mill.promote(id);
  });
  const path = await followed;
  expect(shown).toEqual([
    { done: 3, of: 4 },
    { done: 4, of: 4 },
  ]);
  const text = await readFile(path, 'utf8');
  expect(text.split('\n')).toEqual(months.map((month) => `${month}: 2 orders, 4.00 €`));
  expect(await mill.job(id)).toMatchObject({ state: 'completed', attempt: 2 });
});

test('nightly clean-up: what is older than a month goes, every night at half past three', async () => {
  const { options, closing, directory } = await bench();
  const uploads = join(directory, 'uploads');
  await mkdir(join(uploads, 'old'), { recursive: true });
  await writeFile(join(uploads, 'old', 'part'), '');
  await writeFile(join(uploads, 'young'), '');
  const ageDays = (days: number) => new Date(Date.now() - days * 86_400_000);
  await utimes(join(uploads, 'old'), ageDays(31), ageDays(31));
  await utimes(join(uploads, 'young'), ageDays(29), ageDays(29));

  const mill = closing(await nightly.open(options.directory, uploads));
  const { upcoming } = await scheduleThat(mill, 'nightly-clean-up');
  const clock = { timeZone: 'Europe/Berlin', timeStyle: 'short' } as const;
  expect(upcoming.map((at) => new Intl.DateTimeFormat('en-GB', clock).format(at))).toEqual(['03:30']);

  const job = await mill.schedules.runNow('nightly-clean-up');
  expect(await job.result()).toEqual({ removed: 1 });
  expect(await readdir(uploads)).toEqual(['young']);
});

const paid = { order: '42', form: '42-1', card: 'tok_1', cents: 995 };

test('payment: an answer that was lost is asked for again, and the card is charged once', async () => {
  const charges = new Map<string, string>();
  let count = 0;
  // A service of this kind keeps what it did under each key.
  await webService('PAYMENT_SERVICE', ({ key, body }) => {
    count++;
    const isNew = !charges.has(key);
    charges.set(key, charges.get(key) ?? body);
    return isNew ? { status: 502 } : { status: 200, body: 'receipt 1' };
  });
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = payment.paymentJobs(() => Promise.reject(new Error('Nothing fails here')));
  const mill = closing(await Millrace.open({ ...options, jobs, threads, clock }));
  const retrying = record(mill, 'retrying');

  const pressed = [payment.pay(mill, paid), payment.pay(mill, paid)];
  await retrying.reached(1);
  await mill.promote('charge-42-1');
  expect(await Promise.all(pressed)).toEqual([{ receipt: 'receipt 1' }, { receipt: 'receipt 1' }]);
  // Days later, when what is kept for a day has gone, the page is still open.
  const cancelled = await mill.enqueue('chargeCard', paid, { delay: '1h' });
  await cancelled.cancel();
  while (await mill.job(cancelled.id)) await clock.advance(3_600_000);
  expect(await payment.pay(mill, paid)).toEqual({ receipt: 'receipt 1' });
  expect([...charges]).toEqual([['charge-42-1', JSON.stringify({ card: 'tok_1', cents: 995 })]]);
  expect(count).toBe(2);
});

test('payment: a card that was declined fails at once, the shop is told, and another one can be tried', async () => {
  const { asked, answer } = inTurn([{ status: 402 }, { status: 200, body: 'receipt 2' }]);
  await webService('PAYMENT_SERVICE', answer);
  const { options, closing } = await bench();
  const told = new Recorder<readonly [string, string]>();
  const jobs = payment.paymentJobs(async (id, reason) => told.push([id, reason]));
  const mill = closing(await Millrace.open({ ...options, jobs, threads }));

  await expect(payment.pay(mill, paid)).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    attempt: 1,
    cause: { code: 'MILLRACE_UNRECOVERABLE', message: 'The card was declined' },
  });
  expect(await told.reached(1)).toEqual([['42', 'The card was declined']]);
  await expect(payment.pay(mill, paid)).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  expect(asked).toHaveLength(1);

  const other = { ...paid, form: '42-2', card: 'tok_2' };
  expect(await payment.pay(mill, other)).toEqual({ receipt: 'receipt 2' });
  expect(asked.map(({ key }) => key)).toEqual(['charge-42-1', 'charge-42-2']);
});

test('fan-out and collect: every chapter has its job, and the last job adds up their results', async () => {
  const { options, closing, directory } = await bench();
  const chapters = ['one', 'two', 'three'].map((name) => join(directory, `${name}.txt`));
  for (const [index, path] of chapters.entries()) await writeFile(path, 'Wörter, words. '.repeat(index + 1));
  const mill = closing(await Millrace.open({ ...options, jobs: fanOut.jobs, threads: { count: 2 } }));
  const completed = record(mill, 'completed');

  const sum = await fanOut.countBook(mill, chapters);
  expect(await sum.result()).toEqual({ words: 12, chapters: 3 });
  const names = completed.all.map(([, value]) => ('name' in value ? value.name : ''));
  expect(names).toEqual(['countWords', 'countWords', 'countWords', 'addUp']);
});

test('jobs per tenant: two of each run at a time, and one with many delays nobody', async () => {
  const running = new Map<string, number>();
  const asked = new Recorder<string>();
  const most: number[] = [];
  const { promise: open, resolve: letGo } = deferred();
  await webService('SHOP_SERVICE', async ({ url }) => {
    const [, tenant = ''] = url.split('/');
    running.set(tenant, (running.get(tenant) ?? 0) + 1);
    most.push(Math.max(...running.values()));
    asked.push(tenant);
    await open;
    running.set(tenant, (running.get(tenant) ?? 0) - 1);
    return { status: 200, body: '["an order"]' };
  });
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: tenants.jobs, threads }));

  const days = Array.from({ length: 20 }, (_, index) => `2026-03-${index + 1}`);
  const many = await tenants.importDays(mill, 'tenant-7', days);
  const [one] = await tenants.importDays(mill, 'tenant-8', ['2026-03-01']);
  expect([...(await asked.reached(3))].sort()).toEqual(['tenant-7', 'tenant-7', 'tenant-8']);
  const again = await tenants.importDays(mill, 'tenant-7', days);
  expect(again.map(({ id }) => id)).toEqual(many.map(({ id }) => id));

  letGo();
  expect(await one?.result()).toEqual({ orders: ['an order'] });
  await Promise.all(many.map((job) => job.result()));
  expect(asked.all).toHaveLength(21);
  expect(Math.max(...most)).toBe(2);
});
