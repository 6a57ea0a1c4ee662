/** Draws landscapes: a sky, a sun or a moon, ridges that fade into the haze. The same seed draws the same one. */

/** Numbers in [0, 1), the same ones for the same seed (mulberry32). */
export type Random = () => number;

/** Hue (degrees), saturation and lightness (percent). */
type Colour = readonly [hue: number, saturation: number, lightness: number];

interface Palette {
  readonly zenith: Colour;
  readonly horizon: Colour;
  readonly near: Colour;
  readonly isNight?: boolean;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

const PALETTES: readonly Palette[] = [
  { zenith: [205, 62, 52], horizon: [180, 60, 84], near: [190, 45, 14] }, // noon
  { zenith: [258, 45, 42], horizon: [18, 85, 74], near: [272, 40, 14] }, // dusk
  { zenith: [14, 60, 52], horizon: [42, 85, 80], near: [352, 40, 15] }, // desert
  { zenith: [232, 60, 10], horizon: [218, 48, 34], near: [230, 50, 6], isNight: true },
  { zenith: [150, 38, 44], horizon: [70, 60, 82], near: [160, 45, 12] }, // forest
  { zenith: [325, 50, 48], horizon: [352, 80, 84], near: [300, 35, 16] }, // dawn
  { zenith: [212, 20, 46], horizon: [205, 22, 84], near: [215, 28, 16] }, // mist
  { zenith: [272, 50, 12], horizon: [322, 52, 38], near: [280, 45, 7], isNight: true },
];
const RIDGE_POINTS = 240;
const STARS = 140;

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @returns an SVG. */
export function drawScene(seed: number, size: Size): string {
  const random = randomOf(Math.imul(seed, 7_919) + 13);
  const palette = PALETTES[seed % PALETTES.length] ?? PALETTES[0];
  if (!palette) throw new Error('There are no palettes');
  const { width, height } = size;
  const horizon = 0.42 + random() * 0.2;
  const content = [
    `<linearGradient id="sky" x2="0" y2="1"><stop stop-color="${css(palette.zenith)}"/>` +
      `<stop offset="${horizon.toFixed(2)}" stop-color="${css(palette.horizon)}"/></linearGradient>`,
    `<rect width="${width}" height="${height}" fill="url(#sky)"/>`,
    ...(palette.isNight ? drawStars(random, size, horizon) : []),
    drawSun(random, size, horizon, palette),
    ...drawRidges(random, size, horizon, palette),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content.join('')}</svg>`;
}

function drawStars(random: Random, { width, height }: Size, horizon: number): string[] {
  return Array.from({ length: STARS }, () => {
    const x = Math.round(random() * width);
    const y = Math.round(random() * horizon * height);
    const radius = ((1 + random() * 2.5) * width) / 4_000;
    return `<circle cx="${x}" cy="${y}" r="${radius.toFixed(1)}" fill="${css([50, 30, 60 + random() * 38])}"/>`;
  });
}

function drawSun(random: Random, { width, height }: Size, horizon: number, palette: Palette): string {
  const radius = Math.round(width * (0.025 + 0.035 * random()));
  const at = `cx="${Math.round((0.15 + 0.7 * random()) * width)}" cy="${Math.round((0.3 + 0.6 * random()) * horizon * height)}"`;
  const light = palette.isNight ? '#f1eee2' : '#fffbe8';
  const [bright, dim] = palette.isNight ? [0.35, 0.1] : [0.85, 0.25];
  return (
    `<radialGradient id="glow"><stop stop-color="${light}" stop-opacity="${bright}"/>` +
    `<stop offset=".4" stop-color="${light}" stop-opacity="${dim}"/>` +
    `<stop offset="1" stop-color="${light}" stop-opacity="0"/></radialGradient>` +
    `<circle ${at} r="${radius * 6}" fill="url(#glow)"/><circle ${at} r="${radius}" fill="${light}"/>`
  );
}

function drawRidges(random: Random, size: Size, horizon: number, palette: Palette): string[] {
  const count = 4 + Math.floor(random() * 3);
  return Array.from({ length: count }, (_, index) => {
    const nearness = (index + 1) / count;
    const base = horizon + (1 - horizon) * 0.8 * nearness ** 2 + 0.02;
    const ridge = drawRidge(random, size, base, 0.16 - 0.08 * nearness);
    return `<polygon fill="${css(blend(palette.horizon, palette.near, 0.25 + 0.75 * nearness))}" points="${ridge}"/>`;
  });
}

/** Folded sine waves, each an octave above the one before: their creases are the peaks. */
function drawRidge(random: Random, { width, height }: Size, base: number, amplitude: number): string {
  const waves = Array.from({ length: 6 }, (_, octave) => ({
    frequency: (1.3 + random()) * 2 ** octave * Math.PI,
    phase: random() * 2 * Math.PI,
    weight: 0.5 ** octave * (0.7 + random() * 0.6),
  }));
  const points = Array.from({ length: RIDGE_POINTS + 1 }, (_, index) => {
    const x = index / RIDGE_POINTS;
    const rise = waves.reduce(
      (sum, { frequency, phase, weight }) => sum + weight * Math.abs(Math.sin(frequency * x + phase)),
      0,
    );
    return `${Math.round(x * width)},${Math.round((base - amplitude * (rise - 0.7)) * height)}`;
  });
  return `0,${height} ${points.join(' ')} ${width},${height}`;
}

/** Between two colours, the shorter way round the hues. */
function blend(from: Colour, to: Colour, share: number): Colour {
  const turn = ((to[0] - from[0] + 540) % 360) - 180;
  return [from[0] + turn * share, from[1] + (to[1] - from[1]) * share, from[2] + (to[2] - from[2]) * share];
}

function css([hue, saturation, lightness]: Colour): string {
  return `hsl(${Math.round((hue + 360) % 360)},${Math.round(saturation)}%,${Math.round(lightness)}%)`;
}
