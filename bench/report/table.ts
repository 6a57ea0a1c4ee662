/** A report as text: the rows as a table, the ratios below it with their spread. */
import type { Report, Row } from './report.js';

export function toText({ scenario, rows, ratios, memoryMB, notes = [] }: Report): string {
  const lines = [`\n${scenario}`, ...table(rows)];
  for (const { system, notMeasured } of rows) {
    if (notMeasured !== undefined) lines.push(`  ${system}: not measured: ${notMeasured}`);
  }
  for (const [key, { median, low, high, rounds }] of ratios) {
    lines.push(`  ${key} = ${median}   (middle half ${low} to ${high}, ${rounds} rounds)`);
  }
  if (memoryMB) lines.push(`  memoryMB ${JSON.stringify(memoryMB)}`);
  return [...lines, ...notes.map((note) => `  ${note}`)].join('\n');
}

function table(rows: readonly Row[]): string[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (key) => key !== 'notMeasured',
  );
  const cells = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  const isNumber = columns.map((column) => rows.some((row) => typeof row[column] === 'number'));
  return cells.map((line) =>
    `  ${line.map((text, i) => pad(text, widths[i] ?? 0, isNumber[i] ?? false)).join('  ')}`.trimEnd(),
  );
}

const pad = (text: string, width: number, right: boolean): string =>
  right ? text.padStart(width) : text.padEnd(width);

function cell(value: number | string | undefined): string {
  if (value === undefined) return '–';
  return typeof value === 'number' ? value.toLocaleString('en', { maximumFractionDigits: 3 }) : value;
}
