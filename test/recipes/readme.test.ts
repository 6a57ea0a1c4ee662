/** What the README shows of a recipe is in its files, line for line. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';

/** Of a file of the project, with no indentation. */
async function sourceOf(path: string): Promise<string> {
  const source = await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');
  return source.replaceAll(/^ +/gm, '');
}

/** Stands for what the README leaves out. */
const LEFT_OUT = '// …\n';

const [, rest = ''] = (await sourceOf('README.md')).split('\n## Recipes\n');
const [section = ''] = rest.split('\n## ');
// The first piece says what recipes are.
const recipes = section.split('\n**').slice(1);

test('the README has seven recipes', () => {
  expect(recipes).toHaveLength(7);
});

test.each(recipes.map((recipe) => [recipe.split(':', 1).join(), recipe] as const))(
  'what the README shows of the recipe %s is in its files',
  async (_title, recipe) => {
    const [text = '', code = ''] = recipe.split('```').map((part) => part.replace(/^ts\n/, ''));
    const paths = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, path = '']) => path);
    const sources = (await Promise.all(paths.map(sourceOf))).join('\n');
    const parts = code.split(LEFT_OUT).filter((part) => part !== '');
    expect(parts).not.toEqual([]);
    for (const part of parts) expect(sources).toContain(part);
  },
);
