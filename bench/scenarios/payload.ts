/**
 * Payloads of bytes from 1 KB to 10 MB: how fast they get to a handler, and what the event loop has of it, beside
 * structured clone through raw Piscina, which writes nothing to disk.
 *
 *   npm run bench -- payload
 */
import { median, round } from '../measure/statistics.js';
import type { Loop, Rate } from '../systems/contract.js';
import { Field } from './field.js';
import type { Scenario, Stage } from './stage.js';

const SIZES = { '1 KB': 1_000, '10 KB': 10_000, '100 KB': 100_000, '1 MB': 1_000_000, '10 MB': 10_000_000 };
const NAMES = ['millrace', 'piscina'] as const;
const FOR_MS = 500;
/** Bounds the disk that a turn takes, and the memory that is in flight. */
const MAX_TURN_BYTES = 40_000_000;
const MAX_BYTES_IN_FLIGHT = 20_000_000;
const MAX_IN_FLIGHT = 100;

function entries(stage: Stage) {
  return Object.entries(SIZES).flatMap(([size, bytes]) =>
    NAMES.map((name) =>
      stage.system(
        name,
        { handler: 'bytes', payload: { bytes } },
        { as: `${name} ${size}`, program: 'payload' },
      ),
    ),
  );
}

function turnOf(bytes: number): Loop {
  const inFlight = Math.min(MAX_IN_FLIGHT, Math.floor(MAX_BYTES_IN_FLIGHT / bytes));
  return { forMs: FOR_MS, jobs: Math.floor(MAX_TURN_BYTES / bytes), inFlight };
}

const bytesOf = (system: string): number =>
  Object.entries(SIZES).find(([size]) => system.endsWith(` ${size}`))?.[1] ?? 0;

export const payload: Scenario = {
  name: 'payload',
  what: '1 KB to 10 MB of bytes to a handler, beside structured clone',
  async run(stage) {
    const field = await Field.open<Rate>(entries(stage));
    try {
      const command = (system: string): Loop => turnOf(bytesOf(system));
      await field.warmUp(command);
      await field.takeTurns(command, stage);
      const rows = field.rows((answers) => ({
        jobsPerSec: round(median(answers.map(({ perSec }) => perSec))),
        loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
      }));
      const withBytes = rows.map(({ jobsPerSec, ...row }) => ({
        ...row,
        ...(typeof jobsPerSec === 'number' && { MBPerSec: round((jobsPerSec * bytesOf(row.system)) / 1e6) }),
      }));
      const ratios = Object.keys(SIZES).flatMap((size) => {
        const pair = [`millrace ${size}`, `piscina ${size}`] as const;
        return [
          ...field.ratio(`MBPerSec ${size}/piscina`, ...pair, ({ perSec }) => perSec),
          ...field.ratio(`loop ${size}/piscina`, ...pair, ({ loopP99Ms }) => loopP99Ms),
        ];
      });
      return { scenario: 'payload', rows: withBytes, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
