/**
 * Decodes a PNG's pixels, for what a PDF cannot take as it is: transparency has to become an image of its own,
 * and interlacing has to go.
 */
import { passesOf, rowLength } from './png.js';
import type { Pass, Png } from './png.js';

export interface Pixels {
  /** 8 bits per sample, without transparency; palette indices stay what they are. */
  readonly colours: Buffer;
  /** One byte per pixel, 255 opaque; undefined for an image without transparency. */
  readonly alpha: Buffer | undefined;
}

export function decodePixels(png: Png): Pixels {
  const { width, height, channels, hasAlpha } = png;
  const colourChannels = channels - (hasAlpha ? 1 : 0);
  const colours = Buffer.allocUnsafe(width * height * colourChannels);
  const transparent = transparencyOf(png);
  const alpha = hasAlpha || transparent !== undefined ? Buffer.alloc(width * height, 255) : undefined;
  let position = 0;
  for (const pass of passesOf(png)) {
    const length = pass.height * (1 + rowLength(png, pass.width));
    const rows = unfilter(png.filtered.subarray(position, position + length), png, pass);
    position += length;
    for (let y = 0; y < pass.height; y += 1) {
      const samples = unpackRow(rows, y, png, pass);
      for (let x = 0; x < pass.width; x += 1) {
        const pixel = (pass.y + y * pass.dy) * width + pass.x + x * pass.dx;
        const from = x * channels;
        for (let channel = 0; channel < colourChannels; channel += 1) {
          colours[pixel * colourChannels + channel] = samples[from + channel] ?? 0;
        }
        if (alpha === undefined) continue;
        alpha[pixel] = hasAlpha
          ? (samples[from + colourChannels] ?? 255)
          : (transparent?.(samples, from) ?? 255);
      }
    }
  }
  return { colours, alpha };
}

/** Undoes the filters in place; what is handed back has no filter numbers. */
function unfilter(filtered: Buffer, png: Png, pass: Pass): Buffer {
  const length = rowLength(png, pass.width);
  const step = Math.max(1, (png.bits * png.channels) / 8);
  const rows = Buffer.allocUnsafe(length * pass.height);
  for (let row = 0; row < pass.height; row += 1) {
    const from = row * (length + 1);
    const to = row * length;
    const filter = filtered[from] ?? 0;
    for (let i = 0; i < length; i += 1) {
      const left = i < step ? 0 : (rows[to + i - step] ?? 0);
      const above = row === 0 ? 0 : (rows[to + i - length] ?? 0);
      const aboveLeft = i < step || row === 0 ? 0 : (rows[to + i - length - step] ?? 0);
      rows[to + i] = (filtered[from + 1 + i] ?? 0) + predict(filter, left, above, aboveLeft);
    }
  }
  return rows;
}

function predict(filter: number, left: number, above: number, aboveLeft: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  if (filter === 4) return paeth(left, above, aboveLeft);
  return 0;
}

/** The neighbour closest to left + above - aboveLeft. */
function paeth(left: number, above: number, aboveLeft: number): number {
  const toLeft = Math.abs(above - aboveLeft);
  const toAbove = Math.abs(left - aboveLeft);
  const toAboveLeft = Math.abs(left + above - 2 * aboveLeft);
  if (toLeft <= toAbove && toLeft <= toAboveLeft) return left;
  return toAbove <= toAboveLeft ? above : aboveLeft;
}

/** A row's samples, one byte each. */
function unpackRow(rows: Buffer, y: number, { bits, channels, palette }: Png, { width }: Pass): Buffer {
  const length = rowLength({ bits, channels }, width);
  const row = rows.subarray(y * length, (y + 1) * length);
  if (bits === 8) return row;
  const samples = Buffer.allocUnsafe(width * channels);
  const max = 2 ** bits - 1;
  // A palette's indices are no brightness: they are not stretched to 255.
  const scale = palette === undefined ? 255 / max : 1;
  for (let i = 0; i < samples.length; i += 1) {
    if (bits === 16) samples[i] = row[i * 2] ?? 0;
    else samples[i] = (((row[(i * bits) >> 3] ?? 0) >> (8 - bits - ((i * bits) & 7))) & max) * scale;
  }
  return samples;
}

/** How opaque a pixel is according to tRNS: undefined where there is none. */
function transparencyOf(png: Png): ((samples: Buffer, from: number) => number) | undefined {
  const { transparency, hasAlpha, palette, channels, bits } = png;
  if (transparency === undefined || hasAlpha) return undefined;
  if (palette !== undefined) return (samples, from) => transparency[samples[from] ?? 0] ?? 255;
  if (transparency.length < channels * 2) return undefined;
  // Of 16 bits the upper 8 are kept, of the transparent colour as of the pixels.
  const key = Array.from({ length: channels }, (_, channel) => {
    const value = transparency.readUInt16BE(channel * 2);
    return bits === 16 ? value >> 8 : Math.trunc((value * 255) / (2 ** bits - 1));
  });
  return (samples, from) => (key.every((value, channel) => samples[from + channel] === value) ? 0 : 255);
}
