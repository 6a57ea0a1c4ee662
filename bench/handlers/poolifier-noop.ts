/** The no-op handler as poolifier's threads want it. */
import { ThreadWorker } from 'poolifier';
import noop from './noop.js';

export default new ThreadWorker<object>((payload) => noop(payload));
