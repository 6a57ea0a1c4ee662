import { levelDisk } from '../fixtures/disks.js';
import { journalSuite } from './suite.js';

journalSuite('LevelDB', levelDisk);
