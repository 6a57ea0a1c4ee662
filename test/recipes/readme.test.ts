/** What the README shows of a recipe is in its file, word for word. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

const sourceOf = (path: string) => readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** Stands for what the README leaves out. */
const LEFT_OUT = /^ *\/\/ …$/m;

test('each recipe of the README is an excerpt of the file that it names', async () => {
  const [, section = ''] = (await sourceOf('README.md')).split('\n## Recipes\n');
  const recipes = section
    .split('\n## ', 1)
    .join('')
    .matchAll(/\]\((?<path>[^)]+)\)[^`]*```ts\n(?<code>.*?)```/gs);
  let count = 0;
  for (const { groups: { path = '', code = '' } = {} } of recipes) {
    const source = await sourceOf(path);
    for (const part of code.split(LEFT_OUT)) {
      expect(part.trim()).not.toBe('');
      expect(source, `${path} to contain what the README shows of it`).toContain(part.trim());
    }
    count++;
  }
  expect(count).toBe(section.split('\n## ', 1).join('').split('```ts\n').length - 1);
  expect(count).toBeGreaterThanOrEqual(6);
});
