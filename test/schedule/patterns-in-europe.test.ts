import { testPatterns } from './pattern-suite.js';

testPatterns(1, [
  ['Europe/Berlin', 2024],
  // Its standard time is that of the summer.
  ['Europe/Dublin', 2025],
  ['UTC', 2024],
  // From midnight on, and until midnight.
  ['Africa/Cairo', 2023],
  // For Ramadan.
  ['Africa/Casablanca', 2026],
]);
