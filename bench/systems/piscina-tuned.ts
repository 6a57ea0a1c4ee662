/** Piscina with the `concurrentTasksPerWorker` that was fastest for tiny tasks, of 1, 2, 5, 10, 50 and 100. */
import type { OpenSystem } from './contract.js';
import { openPool } from './piscina-pool.js';

export const open: OpenSystem = async (setup) => openPool(setup, { concurrentTasksPerWorker: 50 });
