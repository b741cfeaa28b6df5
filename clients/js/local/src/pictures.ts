/** Faces at the size that is asked for. */

import type { Look, Model, Pixels } from "./model.js";
import { reduce, resample } from "./resampling.js";
import { Scratch } from "./scratch.js";

/** A face as the server serves it at `size`. Throws RangeError for a trait that is not there. */
export function drawAt(model: Model, size: number, seed: string, look: Look): Pixels {
  const face = model.drawFor(size, seed, look);
  const isEnlarged = face.side > model.manifest.network.resolution;
  return resample(isEnlarged ? reduce(face, size) : face, size);
}

/** RGB to the RGBA of a canvas, opaque; with `scratch` in its memory, until that is taken again. */
export function toImageData({ side, bytes }: Pixels, scratch = new Scratch()): ImageData {
  const data = scratch.take(4 * side * side);
  for (let pixel = 0; pixel < side * side; pixel++) {
    data[4 * pixel] = bytes[3 * pixel];
    data[4 * pixel + 1] = bytes[3 * pixel + 1];
    data[4 * pixel + 2] = bytes[3 * pixel + 2];
    data[4 * pixel + 3] = 255;
  }
  return new ImageData(data, side);
}
