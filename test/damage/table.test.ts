import { damageTrials } from './trials.js';

damageTrials('table', /\.ldb$/, 180, 180);
