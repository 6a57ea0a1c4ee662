/**
 * What Piscina starts a thread with. It `require()`s the file that it is given, and a thread that is ended while it
 * requires an ES module takes the whole process along in Node 20: `CreateRequiredModuleFacade` asserts that nothing
 * ended it. So this is CommonJS, and imports where the thread really begins.
 */
import type { LoadReport, ThreadRequest } from './protocol.js' with { 'resolution-mode': 'import' };

let entry: Promise<typeof import('./thread-entry.js')> | undefined;

module.exports = async (request: ThreadRequest): Promise<LoadReport | undefined> => {
  entry ??= import('./thread-entry.js');
  return (await entry).default(request);
};
