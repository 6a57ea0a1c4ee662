/** Counts the words of a text. */
import { readFile } from 'node:fs/promises';

export default async function countWords({ path }: { path: string }): Promise<number> {
  return (await readFile(path, 'utf8')).match(/\p{L}+/gu)?.length ?? 0;
}
