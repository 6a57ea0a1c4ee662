import { testPatterns } from './pattern-suite.js';

testPatterns(2, [
  ['America/New_York', 2025],
  // Changes at midnight.
  ['America/Santiago', 2024],
  ['America/Havana', 2024],
  // The hour before midnight is skipped.
  ['America/Nuuk', 2024],
  // Changes a minute after midnight, so that in autumn the day before comes back.
  ['America/St_Johns', 2011],
]);
