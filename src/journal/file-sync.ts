/** Makes sure that files are on the disk, and not just in the operating system's memory. */
import { open } from 'node:fs/promises';

/** @returns the file's size: so many bytes are on the disk now. */
export async function syncFile(path: string): Promise<number> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    await file.sync();
    return size;
  } finally {
    await file.close();
  }
}

/** So that the names in it last, too. Windows has no such thing. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
