/** The no-op handler as workerpool's threads want it. */
import workerpool from 'workerpool';
import noop from './noop.js';

workerpool.worker({ noop });
