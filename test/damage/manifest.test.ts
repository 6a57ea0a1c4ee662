import { damageTrials } from './trials.js';

damageTrials('manifest', /^MANIFEST-/, 60, 60);
