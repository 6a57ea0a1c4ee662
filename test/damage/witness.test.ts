import { damageTrials } from './trials.js';

damageTrials('witness', /^WITNESS$/, 40, 40);
