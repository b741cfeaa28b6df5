/** Unpacks the files of a model, as app/local/model_packing.py packs them. */

import { sha256 } from "@noble/hashes/sha2.js";

interface PackedTensor {
  at: number;
  count: number;
  scales: number;
  inner: number;
}

interface Header {
  bytes: number;
  tensors: PackedTensor[];
}

/** The original file. Throws RangeError unless it has the SHA-256 of the manifest. */
export function unpack(packed: Uint8Array, digest: string): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let place = 4 + view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(packed.subarray(4, place))) as Header;
  const original = new Uint8Array(header.bytes);
  let end = 0;
  for (const { at, count } of [...header.tensors, { at: header.bytes, count: 0 }]) {
    original.set(packed.subarray(place, place + at - end), end);
    place += at - end;
    end = at + 4 * count;
  }
  for (const tensor of header.tensors) {
    const numbers = original.subarray(tensor.at, tensor.at + 4 * tensor.count);
    place = unpackTensor(packed, place, tensor, numbers);
  }
  if (hexadecimal(sha256(original)) !== digest) throw new RangeError("A file is damaged.");
  return original;
}

/** Write one tensor's numbers; the place behind it in the packed file. */
function unpackTensor(
  packed: Uint8Array,
  place: number,
  { count, scales, inner }: PackedTensor,
  numbers: Uint8Array,
): number {
  if (scales === 0) {
    for (let byte = 0; byte < 4; byte++) {
      for (let index = 0; index < count; index++) numbers[4 * index + byte] = packed[place++];
    }
    return place;
  }
  const factors = new Float32Array(packed.slice(place, place + 4 * scales).buffer);
  place += 4 * scales;
  const whole = new Int8Array(packed.buffer, packed.byteOffset + place, count);
  const floats = floatsOf(numbers);
  for (let index = 0; index < count;) {
    const factor = factors[(index / inner) % scales];
    const last = index + inner;
    for (; index < last; index++) floats[index] = whole[index] * factor;
  }
  if (floats.buffer !== numbers.buffer) numbers.set(new Uint8Array(floats.buffer));
  return place + count;
}

export function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** float32 numbers within a file: a view, or a copy where they do not lie at a multiple of four. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(buffer, byteOffset, length / 4);
}

/** The float32 tensors of a safetensors file, by name: views of it. */
export function tensors(file: Uint8Array): Map<string, Float32Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const start = 8 + view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, start))) as Record<
    string,
    { dtype?: string; data_offsets?: [number, number] }
  >;
  const found = new Map<string, Float32Array>();
  for (const [name, { dtype, data_offsets }] of Object.entries(header)) {
    if (dtype !== "F32" || !data_offsets) continue; // `__metadata__` has neither
    const [first, last] = data_offsets;
    found.set(name, floatsOf(file.subarray(start + first, start + last)));
  }
  return found;
}
