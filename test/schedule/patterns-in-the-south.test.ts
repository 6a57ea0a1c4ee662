import { testPatterns } from './pattern-suite.js';

testPatterns(4, [
  // Half an hour of daylight saving.
  ['Australia/Lord_Howe', 2025],
  ['Pacific/Chatham', 2024],
  // It skipped the 30th of December.
  ['Pacific/Apia', 2011],
  // Two hours, and three.
  ['Antarctica/Troll', 2024],
  ['Antarctica/Casey', 2010],
]);
