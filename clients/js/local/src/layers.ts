/** Operators with weights, and Resize. */

import { place } from "./movement.js";
import { axisOf, count } from "./shapes.js";
import { constant, Unsupported, type Call, type Constant, type Value } from "./values.js";

const ROWS = 4; // of a panel, as in kernels.c
const COLUMNS = 8;

function roundUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

interface Window {
  kernel: [number, number];
  stride: number;
  padding: number;
}

function windowOf(call: Call, weights: Constant): Window {
  const [, , height, width] = weights.shape;
  const strides = call.numbers("strides", [1, 1]);
  const pads = call.numbers("pads", [0, 0, 0, 0]);
  const isPlain =
    call.number("group", 1) === 1 &&
    call.numbers("dilations", [1, 1]).every((dilation) => dilation === 1) &&
    call.numbers("output_padding", [0, 0]).every((padding) => padding === 0) &&
    strides[0] === strides[1] &&
    pads.every((padding) => padding === pads[0]) &&
    call.text("auto_pad", "NOTSET") === "NOTSET";
  if (!isPlain) throw new Unsupported("A convolution has groups, dilations or uneven edges.");
  return { kernel: [height, width], stride: strides[0], padding: pads[0] };
}

/** Weights in panels of ROWS rows, [k][ROWS], the last filled up with zeros, as the kernels multiply
 * them; (rows, k) of each group by their strides. */
function packed(
  call: Call,
  { data }: Constant,
  groups: number,
  rows: number,
  k: number,
  [groupStride, rowStride, kStride]: [number, number, number],
): number {
  const { machine } = call.program;
  const count = groups * roundUp(rows, ROWS) * k;
  const block = machine.reserve(count);
  const panels = machine.floats(block, count);
  let at = 0;
  for (let group = 0; group < groups; group++) {
    for (let panel = 0; panel < rows; panel += ROWS) {
      for (let i = 0; i < k; i++) {
        const from = group * groupStride + i * kStride;
        for (let row = panel; row < panel + ROWS; row++) {
          panels[at++] = row < rows ? data[from + row * rowStride] : 0;
        }
      }
    }
  }
  return block.address;
}

function biasOf(call: Call, position: number): number {
  return call.inputs[position] === undefined ? 0 : call.program.address(call.input(position));
}

/** The program's steps run one after the other, so what one has scratched the next may use. */
function scratch(call: Call, numbers: number): number {
  const block = call.program.machine.allocate(numbers);
  call.program.machine.release(block);
  return block.address;
}

export function convolution(call: Call): Value {
  const [value, weights] = [call.input(0), call.fixed(1)];
  const { kernel, stride, padding } = windowOf(call, weights);
  const [, channels, height, width] = value.shape;
  const [outputs] = weights.shape;
  const [high, wide] = [height, width].map(
    (size, axis) => Math.floor((size + 2 * padding - kernel[axis]) / stride) + 1,
  );
  const k = channels * kernel[0] * kernel[1];
  const panels = packed(call, weights, 1, outputs, k, [0, k, 1]);
  const [source, bias] = [call.program.address(value), biasOf(call, 2)];
  const { kernels } = call.program.machine;
  const result = call.program.compute([1, outputs, high, wide], (out) =>
    kernels.convolve(
      out, source, panels, bias, space, outputs, channels, height, width, ...kernel, stride,
      padding, high, wide,
    ),
  );
  const [tall, broad] = [height, width].map((size) => roundUp(size + 2 * padding, stride));
  const space = scratch(call, channels * tall * broad);
  return result;
}

export function transposedConvolution(call: Call): Value {
  const [value, weights] = [call.input(0), call.fixed(1)];
  const { kernel, stride, padding } = windowOf(call, weights);
  const [, channels, height, width] = value.shape;
  const outputs = weights.shape[1];
  const [high, wide] = [height, width].map(
    (size, axis) => (size - 1) * stride - 2 * padding + kernel[axis],
  );
  const taps = kernel[0] * kernel[1];
  const panels = packed(call, weights, outputs, taps, channels, [taps, 1, outputs * taps]);
  const columns = roundUp(height * width, COLUMNS);
  const [source, bias] = [call.program.address(value), biasOf(call, 2)];
  const { kernels } = call.program.machine;
  const result = call.program.compute([1, outputs, high, wide], (out) =>
    kernels.convolve_transposed(
      out, source, panels, bias, space, outputs, channels, height, width, ...kernel, stride,
      padding, high, wide,
    ),
  );
  const space = scratch(call, (channels + roundUp(taps, ROWS)) * columns);
  return result;
}

/** Gemm with its weights as rows: one latent times a layer. */
export function linear(call: Call): Value {
  const [value, weights] = [call.input(0), call.fixed(1)];
  const isPlain =
    call.number("transA", 0) === 0 && call.number("transB", 0) === 1 &&
    call.number("alpha", 1) === 1 && call.number("beta", 1) === 1;
  if (!isPlain || value.shape[0] !== 1) throw new Unsupported("A Gemm of this kind is unknown.");
  const [m, k] = weights.shape;
  const [source, matrix] = [call.program.address(value), call.program.address(weights)];
  const bias = biasOf(call, 2);
  const { kernels } = call.program.machine;
  return call.program.compute([1, m], (out) => {
    kernels.multiply_vector(out, source, matrix, bias, m, k);
  });
}

/** MatMul of constants, which rearranges weights. */
export function product(call: Call): Value {
  const [a, b] = [call.fixed(0), call.fixed(1)];
  if (b.shape.length !== 2) throw new Unsupported("A product of this kind is unknown.");
  const [k, n] = b.shape;
  const rows = count(a.shape) / k;
  const data = new Float32Array(rows * n);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a.data[row * k + i] * b.data[i * n + column];
      data[row * n + column] = sum;
    }
  }
  return constant([...a.shape.slice(0, -1), n], data);
}

/** BatchNormalization: a scale and a shift of each channel. */
export function normalisation(call: Call): Value {
  const value = call.input(0);
  if (value.kind === "constant") throw new Unsupported("A constant is normalised.");
  // Copies: the step below keeps what this function names, and views would keep the file of weights.
  const [weight, bias, mean, variance] = [1, 2, 3, 4].map((position) => call.fixed(position).data.slice());
  const epsilon = Math.fround(call.number("epsilon", 1e-5));
  const channels = weight.length;
  const scale = Float32Array.from(weight, (x, c) => x / Math.sqrt(variance[c] + epsilon));
  const shift = Float32Array.from(bias, (x, c) => x - mean[c] * scale[c]);
  const inner = count(value.shape.slice(2));
  const { machine } = call.program;
  const table = (stride: number) =>
    machine.uploadWhole([1, 1, channels, inner, 0, 0, inner, 1, 0, 0, stride, 0]).address;
  const [factors, shifts, sizes] = [machine.upload(scale), machine.upload(shift), table(1)];
  const source = value.block.address;
  return call.program.compute(value.shape, (out) => {
    machine.kernels.combine(2, out, source, factors.address, sizes);
    machine.kernels.combine(0, out, out, shifts.address, sizes);
  });
}

/** Resize by a whole factor: to the nearest pixel, or bilinear. */
export function resizing(call: Call): Value {
  const value = call.input(0);
  if (value.kind === "constant") throw new Unsupported("A constant is resized.");
  const scale = scaleOf(call, value.shape);
  const [, channels, height, width] = value.shape;
  const mode = call.text("mode", "nearest");
  const between = call.text("coordinate_transformation_mode", "half_pixel");
  if (mode === "nearest" && ["asymmetric", "half_pixel"].includes(between)) {
    const repeated = (size: number, step: number) =>
      Array.from({ length: size * scale }, (_, at) => Math.floor(at / scale) * step);
    const planes = Array.from({ length: channels }, (_, c) => c * height * width);
    return place(call.program, value, [[0], planes, repeated(height, width), repeated(width, 1)]);
  }
  if (mode !== "linear" || !["half_pixel", "pytorch_half_pixel"].includes(between)) {
    throw new Unsupported(`Resize by ${mode} ${between} is unknown.`);
  }
  const source = value.block.address;
  const { kernels } = call.program.machine;
  return call.program.compute([1, channels, height * scale, width * scale], (out) =>
    kernels.resize(out, source, channels, height, width, scale),
  );
}

function scaleOf(call: Call, shape: number[]): number {
  const isBySizes = call.inputs[2] === undefined || count(call.fixed(2).shape) === 0;
  const factors = isBySizes
    ? call.whole(3).map((size, axis) => size / shape[axis])
    : call.whole(2);
  const [one, other, scale] = factors;
  if (one !== 1 || other !== 1 || factors[3] !== scale || !Number.isInteger(scale)) {
    throw new Unsupported("Resize has a factor that is not whole.");
  }
  return scale;
}

/** Shape: sizes as a constant. */
export function shapeOf(call: Call): Value {
  const { shape } = call.input(0);
  const start = axisOf(call.number("start", 0), shape.length);
  const end = axisOf(call.number("end", shape.length), shape.length);
  const sizes = shape.slice(start, end);
  return constant([sizes.length], sizes, true);
}

export function constantOf(call: Call): Value {
  const value = call.attribute("value");
  if (value === undefined || typeof value !== "object" || Array.isArray(value)) {
    throw new Unsupported("A constant of this kind is unknown.");
  }
  return { kind: "constant", ...value };
}

export function filled(call: Call): Value {
  const shape = call.whole(0);
  const value = call.attribute("value");
  const isTensor = value !== undefined && typeof value === "object" && !Array.isArray(value);
  const number = isTensor ? value.data[0] : 0;
  const numbers = new Array<number>(count(shape)).fill(number);
  const isWhole = isTensor && value.isWhole;
  return constant(shape, isWhole ? numbers : Float32Array.from(numbers), isWhole);
}
