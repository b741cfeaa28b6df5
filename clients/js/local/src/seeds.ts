/** Seeds to latents: docs/seeds.md, specification 1. */

import { sha256 } from "@noble/hashes/sha2.js";

import { quantile } from "./normal.js";

/** The specification that these functions compute; a card names the one that its model uses. */
export const SPECIFICATION = 1;
export const LONGEST_SEED = 4096; // bytes of UTF-8
const PROBES = 16;
const NUMBERS_OF_BLOCK = 4;
const encoder = new TextEncoder();

/** A latent z (length,), standard normal. Variants above 0 are further faces of the seed. */
export function derive(seed: string, length: number, variant = 0): Float32Array {
  return normals(seed, variant ? `variant:${variant}` : "z", length);
}

/** Standard normals (length,) for one purpose. Throws RangeError for what is no seed. */
export function normals(seed: string, key: string, length: number): Float32Array {
  return Float32Array.from(uniforms(seed, key, length), quantile);
}

/** Uniform numbers (length,), strictly between 0 and 1, for one purpose. Throws RangeError. */
export function uniforms(seed: string, key: string, length: number): Float64Array {
  const text = encoder.encode(key);
  const input = new Uint8Array(32 + text.length + 1 + 8); // SHA-256, key, a zero, a number
  input.set(sha256(seedBytes(seed)));
  input.set(text, 32);
  const counter = new DataView(input.buffer, input.length - 8);
  const numbers = new Float64Array(length);
  for (let block = 0; block * NUMBERS_OF_BLOCK < length; block++) {
    counter.setBigUint64(0, BigInt(block));
    const digest = sha256(input);
    const view = new DataView(digest.buffer, digest.byteOffset);
    const count = Math.min(NUMBERS_OF_BLOCK, length - block * NUMBERS_OF_BLOCK);
    for (let place = 0; place < count; place++) {
      // The upper 52 of 64 bits, exactly.
      const upper = view.getUint32(8 * place) * 2 ** 20 + (view.getUint32(8 * place + 4) >>> 12);
      numbers[block * NUMBERS_OF_BLOCK + place] = (upper + 0.5) / 2 ** 52;
    }
  }
  return numbers;
}

/** PROBES latents (length,) over which a style is averaged: pairs of opposites. */
export function probes(length: number): Float32Array[] {
  const half = Array.from({ length: PROBES / 2 }, (_, number) => derive(`probe ${number}`, length));
  return [...half, ...half.map((latent) => latent.map((x) => -x))];
}

function seedBytes(seed: string): Uint8Array {
  if (/\p{Surrogate}/u.test(seed)) throw new RangeError("The seed is not valid Unicode.");
  const bytes = encoder.encode(seed);
  if (bytes.length > LONGEST_SEED) throw new RangeError("The seed is longer than 4,096 bytes.");
  return bytes;
}
