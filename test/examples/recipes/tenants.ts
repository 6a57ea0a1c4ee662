/**
 * Jobs per tenant: each tenant has at most two jobs running, as its shop likes it no more than sixty a minute, and they
 * take turns. One that enqueues a million of them delays nobody but itself.
 */
import { defineJobs, inlineJob, type Millrace } from 'millrace';

export const jobs = defineJobs({
  importOrders: inlineJob(
    async ({ tenant, day }: { tenant: string; day: string }, job) => {
      const url = `${process.env.SHOP_SERVICE}/${tenant}/orders?day=${day}`;
      const response = await fetch(url, { signal: job.signal });
      if (!response.ok) throw new Error(`The shop of ${tenant} answered ${response.status}`);
      return { orders: (await response.json()) as unknown[] };
    },
    { concurrency: 4, concurrencyPerKey: 2, rateLimitPerKey: { max: 60, per: '1m' }, timeout: '1m' },
  ),
});

/** A day that is waiting to be imported, or is being imported, is not enqueued again. */
export async function importDays(mill: Millrace<typeof jobs>, tenant: string, days: string[]) {
  return mill.enqueueMany(
    days.map((day) => ({
      name: 'importOrders',
      payload: { tenant, day },
      options: { concurrencyKey: tenant, uniqueKey: `${tenant} ${day}` },
    })),
  );
}
