import { damageTrials } from './trials.js';

damageTrials('CURRENT', /^CURRENT$/, 40, 40);
