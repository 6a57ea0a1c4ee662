import { levelDisk, memoryDisk } from '../fixtures/disks.js';
import { prunerSuite } from './pruner.js';

prunerSuite('memory', memoryDisk);
prunerSuite('LevelDB', levelDisk);
