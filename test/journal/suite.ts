/** What every journal keeps, whatever it lies on. */
import type { DiskFactory } from '../fixtures/disks.js';
import { commitSuite } from './commits.js';
import { indexSuite } from './indexes.js';
import { integritySuite } from './integrity.js';
import { markSuite } from './marks.js';
import { recordSuite } from './records.js';
import { recoverySuite } from './recovery.js';
import { reopeningSuite } from './reopening.js';
import { viewSuite } from './views.js';
import { walkSuite } from './walks.js';

export function journalSuite(name: string, createDisk: DiskFactory): void {
  const suites = [recordSuite, indexSuite, commitSuite, markSuite, integritySuite, recoverySuite];
  for (const suite of [...suites, reopeningSuite, viewSuite, walkSuite]) suite(name, createDisk);
}
