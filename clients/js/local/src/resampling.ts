/** Resizes RGB pictures as Pillow does for the server, to the byte (libImaging/Resample.c). */

import type { Pixels } from "./model.js";
import { Scratch } from "./scratch.js";

interface Filter {
  reach: number;
  weight: (x: number) => number;
}

interface Taps {
  first: number;
  weights: Int32Array; // of 2^BITS
}

const BITS = 22; // 32 less the 8 of a pixel and 2 to spare
const HALF = 2 ** (BITS - 1); // rounds
const BICUBIC: Filter = { reach: 2, weight: cubic };
const LANCZOS: Filter = { reach: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) };

const between = new Scratch(); // of the two passes
const resized = new Scratch();

/** A square picture at another size; models/faces/resizing.py says by which method. */
export function resample(pixels: Pixels, size: number): Pixels {
  if (pixels.side === size) return pixels;
  const taps = tapsOf(size > pixels.side ? BICUBIC : LANCZOS, pixels.side, size);
  const wide = between.take(pixels.side * size * 3);
  pass(pixels.bytes, taps, pixels.side, size, true, wide);
  const result = resized.take(size * size * 3);
  pass(wide, taps, size, size, false, result);
  return { side: size, bytes: new Uint8Array(result.buffer, 0, result.length) };
}

/** An enlarged picture reduced to `size`: by area where that divides its side. */
export function reduce(pixels: Pixels, size: number): Pixels {
  if (pixels.side <= size) return pixels;
  return pixels.side % size === 0 ? average(pixels, pixels.side / size) : resample(pixels, size);
}

function average({ side, bytes }: Pixels, factor: number): Pixels {
  const size = side / factor;
  const places = factor * factor;
  const multiplier = Math.floor(2 ** 24 / places);
  const { buffer, length } = resized.take(size * size * 3);
  const result = new Uint8Array(buffer, 0, length);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = places >> 1;
        for (let y = row * factor; y < (row + 1) * factor; y++) {
          const start = (y * side + column * factor) * 3 + channel;
          for (let x = 0; x < factor; x++) sum += bytes[start + 3 * x];
        }
        result[(row * size + column) * 3 + channel] = Math.floor((sum * multiplier) / 2 ** 24);
      }
    }
  }
  return { side: size, bytes: result };
}

function tapsOf({ reach, weight }: Filter, from: number, to: number): Taps[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * stretch + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, index) =>
      weight((index + first - centre + 0.5) * (1 / stretch)),
    );
    const sum = weights.reduce((total, each) => total + each, 0);
    const whole = weights.map((each) => {
      const share = (sum === 0 ? each : each / sum) * 2 ** BITS;
      return Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    });
    return { first, weights: Int32Array.from(whole) };
  });
}

/** One pass along rows or columns; `height` rows of the input, which is `side` or `width` wide. */
function pass(
  bytes: Uint8Array | Uint8ClampedArray,
  taps: readonly Taps[],
  height: number,
  width: number,
  isAlongRows: boolean,
  result: Uint8ClampedArray,
): void {
  const side = isAlongRows ? height : width; // numbers of a row of the input
  const [rows, columns] = isAlongRows ? [height, width] : [taps.length, width];
  const step = (isAlongRows ? 1 : side) * 3;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const { first, weights } = taps[isAlongRows ? column : row];
      const start = (isAlongRows ? row * side + first : first * side + column) * 3;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let tap = 0, at = start; tap < weights.length; tap++, at += step) {
        const weight = weights[tap];
        red += bytes[at] * weight;
        green += bytes[at + 1] * weight;
        blue += bytes[at + 2] * weight;
      }
      const out = (row * columns + column) * 3;
      result[out] = red >> BITS;
      result[out + 1] = green >> BITS;
      result[out + 2] = blue >> BITS;
    }
  }
}

function cubic(x: number): number {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
