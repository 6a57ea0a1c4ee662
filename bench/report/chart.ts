/**
 * The throughput scenario as an SVG of horizontal bars, legible on light and on dark ground: the text takes its
 * colour from the reader's scheme, and the ground is left out.
 */
import type { Report } from './report.js';

interface Bar {
  readonly label: string;
  readonly note: string;
  readonly value: number;
  readonly isOurs: boolean;
}

const WIDTH = 760;
const LABEL_WIDTH = 250;
const VALUE_WIDTH = 80;
const ROW_HEIGHT = 34;
const BAR_HEIGHT = 18;
const TOP = 58;
const BOTTOM = 34;

const STYLE = `
    text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .note { font-size: 11px; fill: #59636e }
    .peer { fill: #8c959f }
    .ours { fill: #0969da }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .note { fill: #9198a1 }
      .peer { fill: #656c76 }
      .ours { fill: #4493f8 }
    }`;

const DURABLE = { fsync: 'survives a power cut', os: 'survives the process', none: 'keeps nothing' } as const;

function barsOf({ rows }: Report): Bar[] {
  return rows
    .flatMap(({ system, durability, runsIn, jobsPerSec }): Bar[] => {
      if (typeof jobsPerSec !== 'number') return [];
      const note = `${DURABLE[durability]}, ${runsIn}`;
      return [{ label: system, note, value: jobsPerSec, isOurs: system === 'millrace' }];
    })
    .toSorted((a, b) => b.value - a.value);
}

function draw({ label, note, value, isOurs }: Bar, row: number, max: number): string {
  const y = TOP + row * ROW_HEIGHT;
  const length = Math.max(2, Math.round((value / max) * (WIDTH - LABEL_WIDTH - VALUE_WIDTH)));
  const middle = y + BAR_HEIGHT / 2;
  return `
  <text x="${LABEL_WIDTH - 10}" y="${middle - 2}" text-anchor="end"${isOurs ? ' font-weight="600"' : ''}>${escape(label)}</text>
  <text class="note" x="${LABEL_WIDTH - 10}" y="${middle + 11}" text-anchor="end">${escape(note)}</text>
  <rect class="${isOurs ? 'ours' : 'peer'}" x="${LABEL_WIDTH}" y="${y}" width="${length}" height="${BAR_HEIGHT}" rx="3"/>
  <text x="${LABEL_WIDTH + length + 6}" y="${middle + 4}">${value.toLocaleString('en')}</text>`;
}

/** @throws Error where no row has a figure. */
export function toChart(report: Report, machine: string): string {
  const bars = barsOf(report);
  const max = Math.max(...bars.map(({ value }) => value));
  if (bars.length === 0) throw new Error('There is nothing to draw: no system could be measured');
  const height = TOP + bars.length * ROW_HEIGHT + BOTTOM;
  const described = bars.map(({ label, value }) => `${label} ${value}`).join(', ');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title description">
  <title id="title">Jobs per second, from enqueue to result</title>
  <desc id="description">${escape(described)}</desc>
  <style>${STYLE}
  </style>
  <text class="title" x="16" y="26">Jobs per second, from enqueue to result</text>
  <text class="note" x="16" y="44">A handler that does nothing, a small payload, 500 jobs in flight. More is better.</text>${bars.map((bar, row) => draw(bar, row, max)).join('')}
  <text class="note" x="16" y="${height - 12}">${escape(machine)}</text>
</svg>
`;
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
