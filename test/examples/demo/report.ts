/** The table at the end of a run. */
import { join } from 'node:path';
import type { JobState } from 'millrace';
import { formatBytes, formatCount, formatDelay, formatMs, formatTable } from './format.js';
import { QUEUES } from './jobs.js';
import { SHEET_FILE } from './make-sheet.js';
import { failuresOf } from './outcome.js';
import { TARGETS } from './plan.js';
import type { RunReport } from './run.js';

export function reportOf(report: RunReport, output: string): string {
  const failures = failuresOf(report.outcomes).map(({ name, reason }) => [name, reason]);
  return [
    '',
    jobsTable(report),
    '',
    ...facts(report, output).map(([title, text]) => `${title.padEnd(15)}${text}`),
    ...(failures.length === 0 ? [] : ['', 'Not made:', ...failures.map((row) => `  ${row.join(': ')}`)]),
  ].join('\n');
}

/** The jobs that the journal holds, by queue and state; states that no job is in are left out. */
function jobsTable({ counts }: RunReport): string {
  const used = [...counts].filter(([, states]) => Object.values(states).some((count) => count > 0));
  const always: JobState[] = ['completed', 'failed'];
  const others = used.flatMap(([, states]) =>
    // Its keys are the states.
    (Object.keys(states) as JobState[]).filter((state) => states[state] > 0 && !always.includes(state)),
  );
  const states = [...always, ...new Set(others)];
  const total = states.map((state) => used.reduce((sum, [, each]) => sum + each[state], 0));
  return formatTable([
    ['Queue', 'weight', ...states],
    ...used.map(([name, each]) => [
      name,
      String(QUEUES[name].weight),
      ...states.map((state) => String(each[state])),
    ]),
    ['all jobs', '', ...total.map(String)],
  ]);
}

function facts({ measures, now, sheet }: RunReport, output: string): [title: string, text: string][] {
  const { total, photographs, sizes } = measures;
  const parts = [
    ...(photographs ? [`photographs ${formatMs(photographs.wallMs)}`] : []),
    `sizes ${formatMs(sizes.wallMs)}`,
    `contact sheet ${formatMs(measures.sheet.wallMs)}`,
  ];
  const perSecond = now.sizes / TARGETS.length / (sizes.wallMs / 1_000);
  const { p50, p99, max } = total.delay;
  const pages = sheet.kind === 'completed' ? formatCount(sheet.result.pages, 'page') : 'failed';
  return [
    ['Wall time', `${formatMs(total.wallMs)} (${parts.join(', ')})`],
    ['Images', now.sizes === 0 ? 'none to do' : `${perSecond.toFixed(1)} per second, in three sizes each`],
    [
      'Event loop',
      `late by ${formatDelay(p50)} (p50), ${formatDelay(p99)} (p99), ${formatDelay(max)} at most`,
    ],
    [
      'Written',
      now.files === 0 ? 'nothing' : `${formatBytes(now.bytes)} in ${formatCount(now.files, 'file')}`,
    ],
    ['Contact sheet', `${join(output, SHEET_FILE)} (${pages})`],
  ];
}
