import { testPatterns } from './pattern-suite.js';

testPatterns(3, [
  ['Asia/Kolkata', 2023],
  ['Asia/Beirut', 2024],
  ['Asia/Tehran', 2022],
  ['Asia/Jerusalem', 2026],
  // Half an hour forward, for good.
  ['Asia/Pyongyang', 2018],
]);
