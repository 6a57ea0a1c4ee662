/** The images that the demo works on: what it finds in a folder. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { UnusableError } from './options.js';

export interface InputImage {
  /** The file's name in its folder. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
}

export interface InputFolder {
  /** By name. */
  readonly images: readonly InputImage[];
  /** Names of files that are no images, and are left alone. */
  readonly ignored: readonly string[];
}

const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.gif', '.tif', '.tiff'];

/** @throws UnusableError for a folder that is missing, cannot be read, or has no images in it. */
export async function findImages(folder: string): Promise<InputFolder> {
  const entries = await readFolder(folder);
  // A name that starts with a dot is a system's own, such as .DS_Store or ._photo.jpg.
  const names = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
  const images = names.filter((name) => EXTENSIONS.includes(extname(name).toLowerCase()));
  const ignored = names.filter((name) => !images.includes(name));
  if (images.length === 0) throw nothingIn(folder, ignored.length);
  return { images: await Promise.all(images.map((name) => describe(folder, name))), ignored };
}

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (code === 'ENOENT') throw new UnusableError(`There is no folder ${folder}`);
    if (code === 'ENOTDIR') throw new UnusableError(`Expected --input to be a folder, got a file: ${folder}`);
    throw new UnusableError(`The folder ${folder} cannot be read: ${code}`);
  }
}

function nothingIn(folder: string, others: number): UnusableError {
  const found = others === 0 ? 'it is empty' : `none of its ${others} files has one of these endings`;
  return new UnusableError(
    `There are no images in ${folder}: ${found}`,
    `Images are ${EXTENSIONS.join(' ')}`,
  );
}

async function describe(folder: string, name: string): Promise<InputImage> {
  const path = join(folder, name);
  // What cannot be looked at, such as a link that leads nowhere, is for its job to fail on, and to say why.
  const found = await stat(path).catch(() => undefined);
  return { name, path, bytes: found?.size ?? 0, modifiedAt: found?.mtimeMs ?? 0 };
}
