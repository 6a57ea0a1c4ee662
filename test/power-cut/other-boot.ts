/**
 * To be imported before a program (`node --import`): for it, the machine has been started anew, as after a power cut.
 * Linux tells the starts of a machine apart by this file (random(4)), which nobody can write.
 */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const boot = `${randomUUID()}\n`;
const { readFileSync } = fs;

fs.readFileSync = ((path: fs.PathOrFileDescriptor, ...options: never[]) => {
  if (path !== BOOT_ID) return readFileSync(path, ...options);
  return options.length > 0 ? boot : Buffer.from(boot);
  // Safe: the same parameters, and what they make of the file.
}) as typeof readFileSync;
syncBuiltinESMExports();
