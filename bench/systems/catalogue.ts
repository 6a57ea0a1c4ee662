/**
 * Every system that takes part: what its row says of it, and what it needs. Knows the modules by name only, so
 * that the process which steers loads none of them.
 */
import type { Durability, RunsIn } from '../report/report.js';

export interface SystemFacts {
  /** The module in this folder. */
  readonly module: string;
  /** What an acknowledged job and a result that was seen survive: a power cut, the process, or nothing. */
  readonly durability: Durability;
  readonly runsIn: RunsIn;
  readonly redis?: 'memory' | 'fsync';
}

export const SYSTEMS = {
  millrace: { module: 'millrace', durability: 'fsync', runsIn: 'thread' },
  piscina: { module: 'piscina', durability: 'none', runsIn: 'thread' },
  'piscina-tuned': { module: 'piscina-tuned', durability: 'none', runsIn: 'thread' },
  workerpool: { module: 'workerpool', durability: 'none', runsIn: 'thread' },
  poolifier: { module: 'poolifier', durability: 'none', runsIn: 'thread' },
  bullmq: { module: 'bullmq', durability: 'none', runsIn: 'main thread', redis: 'memory' },
  'bullmq-fsync': { module: 'bullmq', durability: 'fsync', runsIn: 'main thread', redis: 'fsync' },
  'bullmq-threads': { module: 'bullmq-threads', durability: 'none', runsIn: 'thread', redis: 'memory' },
  'main-thread': { module: 'main-thread', durability: 'none', runsIn: 'main thread' },
  plainjob: { module: 'plainjob', durability: 'os', runsIn: 'main thread' },
  prototype: { module: 'prototype', durability: 'fsync', runsIn: 'thread' },
} as const satisfies Record<string, SystemFacts>;

export type SystemName = keyof typeof SYSTEMS;
