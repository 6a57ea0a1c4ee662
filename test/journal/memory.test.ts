import { memoryDisk } from '../fixtures/disks.js';
import { journalSuite } from './suite.js';

journalSuite('memory', memoryDisk);
