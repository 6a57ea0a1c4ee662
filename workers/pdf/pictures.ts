/** Single images and grids of images (contact sheets), with captions. */
import { UnrecoverableError } from '../../src/errors.js';
import type { EmbeddedImage, Images } from './images.js';
import type { PageFlow, TextStyle } from './page-flow.js';
import type { GridImage, ImageBlock, ImageGridBlock } from './payload.js';

const CAPTION_STYLE: TextStyle = { font: 'regular', size: 8.5, color: '#57606a', leading: 1.1 };
const BEFORE_CAPTION = 4;
const AFTER_IMAGE = 12;
const TILE_FILL = '#f3f5f7';
const DEFAULT_GAP = 12;
const DEFAULT_RATIO = 3 / 4;
/** What captions have to leave for images, and columns for each image. */
const MIN_IMAGE_SIZE = 8;

interface Size {
  readonly width: number;
  readonly height: number;
}

export async function drawImage(
  flow: PageFlow,
  images: Images,
  block: ImageBlock,
  where: string,
): Promise<void> {
  const image = await images.embed(block, where);
  const caption = captionLines(flow, block.caption, flow.width);
  const captionHeight = heightOfCaption(flow, caption);
  const room = { width: flow.width, height: flow.largestRoom - captionHeight };
  assertRoom(room, where);
  const { width, height } = sizeOf(image, block, room);
  flow.ensureRoom(height + captionHeight);
  const free = flow.width - width;
  const x = flow.left + { left: 0, center: free / 2, right: free }[block.align ?? 'left'];
  images.draw(image, x, flow.y, width, height);
  const box = { x: flow.left, y: flow.y + height + BEFORE_CAPTION, width: flow.width };
  flow.drawLines(caption, CAPTION_STYLE, box, block.align);
  flow.y += height + captionHeight;
  flow.space(AFTER_IMAGE);
}

/** @param step Called before each row of images; waits for what has been drawn to be written. */
export async function drawImageGrid(
  flow: PageFlow,
  images: Images,
  block: ImageGridBlock,
  where: string,
  step: () => Promise<void>,
): Promise<void> {
  const { columns, gap = DEFAULT_GAP } = block;
  const width = (flow.width - gap * (columns - 1)) / columns;
  const tile = { width, height: block.imageHeight ?? width * DEFAULT_RATIO };
  assertRoom(tile, where);
  for (let first = 0; first < block.images.length; first += columns) {
    await step();
    const row = block.images.slice(first, first + columns);
    const embedded = [];
    for (const [index, image] of row.entries()) {
      embedded.push(await images.embed(image, `${where}.images[${first + index}]`));
    }
    drawRow(flow, images, { row, embedded, tile, gap, where });
    flow.space(gap);
  }
  flow.space(Math.max(0, AFTER_IMAGE - gap));
}

interface GridRow {
  readonly row: readonly GridImage[];
  readonly embedded: readonly EmbeddedImage[];
  readonly tile: Size;
  readonly gap: number;
  readonly where: string;
}

/** All of a row stands on one page. */
function drawRow(flow: PageFlow, images: Images, { row, embedded, tile, gap, where }: GridRow): void {
  const captions = row.map(({ caption }) => captionLines(flow, caption, tile.width));
  const captionHeight = Math.max(...captions.map((lines) => heightOfCaption(flow, lines)));
  const room = { width: tile.width, height: Math.min(tile.height, flow.largestRoom - captionHeight) };
  assertRoom(room, where);
  flow.ensureRoom(room.height + captionHeight);
  for (const [index, image] of embedded.entries()) {
    const x = flow.left + index * (room.width + gap);
    flow.doc.save().rect(x, flow.y, room.width, room.height).fill(TILE_FILL).restore();
    images.draw(image, x, flow.y, room.width, room.height);
    const box = { x, y: flow.y + room.height + BEFORE_CAPTION, width: room.width };
    flow.drawLines(captions[index] ?? [], CAPTION_STYLE, box, 'center');
  }
  flow.y += room.height + captionHeight;
}

function captionLines(flow: PageFlow, caption: string | undefined, width: number): string[] {
  return caption === undefined || caption === '' ? [] : flow.lines(caption, CAPTION_STYLE, width);
}

function heightOfCaption(flow: PageFlow, lines: readonly string[]): number {
  return lines.length === 0 ? 0 : BEFORE_CAPTION + lines.length * flow.lineHeight(CAPTION_STYLE);
}

/** What was asked for, or a point per pixel; smaller if the page cannot hold it, never distorted. */
function sizeOf(image: EmbeddedImage, wanted: ImageBlock, room: Size): Size {
  const { width, height } = wanted;
  if (width === undefined && height === undefined) {
    return image.width <= room.width && image.height <= room.height ? image : fit(image, room);
  }
  return fit(image, {
    width: Math.min(width ?? Infinity, room.width),
    height: Math.min(height ?? Infinity, room.height),
  });
}

function fit(image: Size, room: Size): Size {
  const scale = Math.min(room.width / image.width, room.height / image.height);
  return { width: image.width * scale, height: image.height * scale };
}

function assertRoom({ width, height }: Size, where: string): void {
  if (width >= MIN_IMAGE_SIZE && height >= MIN_IMAGE_SIZE) return;
  throw new UnrecoverableError(
    `Expected \`${where}\` to leave at least ${MIN_IMAGE_SIZE} × ${MIN_IMAGE_SIZE} points for an image, got: ` +
      `${Math.floor(width)} × ${Math.floor(height)}. Use fewer columns, smaller gaps or shorter captions`,
  );
}
