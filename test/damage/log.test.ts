import { damageTrials } from './trials.js';

damageTrials('log', /\.log$/, 180, 180);
