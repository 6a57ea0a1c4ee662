/** Piscina with its default options. */
import type { OpenSystem } from './contract.js';
import { openPool } from './piscina-pool.js';

export const open: OpenSystem = async (setup) => openPool(setup, {});
