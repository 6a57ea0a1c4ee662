/** Adds up a file of orders for each month. It goes on behind the last month that it has kept, whatever interrupts it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobContext } from 'millrace';

/** How far it is: what was kept comes back as it went in. */
type Lines = string[];

export default async function writeReport(
  { folder, months }: { folder: string; months: string[] },
  job: JobContext,
) {
  const lines = (job.resumeFrom as Lines | undefined) ?? [];
  for (const month of months.slice(lines.length)) {
    const orders = JSON.parse(await readFile(join(folder, `${month}.json`), 'utf8')) as { cents: number }[];
    const cents = orders.reduce((sum, order) => sum + order.cents, 0);
    lines.push(`${month}: ${orders.length} orders, ${(cents / 100).toFixed(2)} €`);
    job.progress({ done: lines.length, of: months.length });
    await job.checkpoint(lines);
  }
  // Whole or not at all, as an attempt can end at any moment.
  const path = join(folder, 'report.txt');
  await writeFile(`${path}.tmp`, lines.join('\n'));
  await rename(`${path}.tmp`, path);
  return { path };
}
