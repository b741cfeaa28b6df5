/** Operators that compute number by number, and sums. */

import { axisOf, broadcast, count, joined, repeatedStrides } from "./shapes.js";
import { constant, Unsupported, type Call, type Constant, type Value } from "./values.js";

// In the order of the enumerations in kernels.c.
const PAIRS = ["Add", "Sub", "Mul", "Div", "Greater", "LessOrEqual", "And", "Max", "Min"];
const SINGLES = ["LeakyRelu", "Sqrt", "Neg", "Round", "Clip", "Abs"];
const COMPARISONS = new Set(["Greater", "LessOrEqual", "And", "Equal"]);

const PAIR_FUNCTIONS: Record<string, (x: number, y: number) => number> = {
  Add: (x, y) => x + y,
  Sub: (x, y) => x - y,
  Mul: (x, y) => x * y,
  Div: (x, y) => x / y,
  Mod: (x, y) => ((x % y) + y) % y,
  Pow: Math.pow,
  Equal: (x, y) => Number(x === y),
  Greater: (x, y) => Number(x > y),
  LessOrEqual: (x, y) => Number(x <= y),
  And: (x, y) => Number(Boolean(x) && Boolean(y)),
  Max: Math.max,
  Min: Math.min,
};

/** An operator of two inputs, repeated to one shape. */
export function pair(call: Call): Value {
  const [a, b] = [call.input(0), call.input(1)];
  const shape = broadcast(a.shape, b.shape);
  const walks = [repeatedStrides(a.shape, shape), repeatedStrides(b.shape, shape)];
  const operator = PAIRS.indexOf(call.node.operator);
  if (a.kind === "constant" && b.kind === "constant") return constantPair(call, a, b, shape, walks);
  if (operator < 0) throw new Unsupported(`${call.node.operator} of variables is unknown.`);
  const { machine } = call.program;
  const sizes = joined(shape, walks);
  const table = machine.uploadWhole([...sizes.shape, ...sizes.walks.flat()]).address;
  const [left, right] = [call.program.address(a), call.program.address(b)];
  return call.program.compute(shape, (out) =>
    machine.kernels.combine(operator, out, left, right, table),
  );
}

function constantPair(
  call: Call,
  a: Constant,
  b: Constant,
  shape: number[],
  walks: number[][],
): Constant {
  const { operator } = call.node;
  const compute = PAIR_FUNCTIONS[operator];
  const isWhole = (a.isWhole && b.isWhole) || COMPARISONS.has(operator);
  const { shape: sizes, walks: [left, right] } = joined(shape, walks);
  if (operator === "Mul" && a.data instanceof Float32Array && b.data instanceof Float32Array) {
    return constant(shape, multiplied(a.data, b.data, sizes, left, right));
  }
  const results = isWhole ? new Array<number>(count(shape)) : new Float32Array(count(shape));
  const [planes, rows, columns, length] = sizes;
  let index = 0;
  for (let row = 0; row < planes * rows * columns; row++) {
    const places = [Math.floor(row / columns / rows), Math.floor(row / columns) % rows, row % columns];
    let [one, other] = [left, right].map((steps) =>
      places.reduce((sum, place, axis) => sum + place * steps[axis], 0),
    );
    for (let place = 0; place < length; place++, one += left[3], other += right[3]) {
      results[index++] = compute(a.data[one], b.data[other]);
    }
  }
  // Quotients of whole numbers are whole.
  return constant(shape, results instanceof Float32Array ? results : results.map(Math.trunc), isWhole);
}

/** Weights times weights, a million of them: loops that a compiler makes fast. */
function multiplied(
  a: Float32Array,
  b: Float32Array,
  [planes, rows, columns, length]: number[],
  [a0, a1, a2, a3]: number[],
  [b0, b1, b2, b3]: number[],
): Float32Array {
  const results = new Float32Array(planes * rows * columns * length);
  let index = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let one = plane * a0 + row * a1 + column * a2;
        let other = plane * b0 + row * b1 + column * b2;
        for (let place = 0; place < length; place++, one += a3, other += b3) {
          results[index++] = a[one] * b[other];
        }
      }
    }
  }
  return results;
}

const SINGLE_FUNCTIONS: Record<string, (x: number, low: number, high: number) => number> = {
  LeakyRelu: (x, low) => (x < 0 ? x * low : x),
  Sqrt: Math.sqrt,
  Neg: (x) => -x,
  Abs: Math.abs,
  Clip: (x, low, high) => Math.min(Math.max(x, low), high),
};

/** An operator of one input. */
export function single(call: Call): Value {
  const { operator } = call.node;
  const [low, high] = limits(call);
  const name = operator === "Relu" ? "LeakyRelu" : operator;
  return apply(call, name, low, high);
}

function limits(call: Call): [number, number] {
  if (call.node.operator === "LeakyRelu") return [Math.fround(call.number("alpha", 0.01)), 0];
  if (call.node.operator !== "Clip") return [0, 0];
  const limit = (place: number, fallback: number) =>
    call.inputs[place] === undefined ? fallback : Number(call.fixed(place).data[0]);
  return [limit(1, -Infinity), limit(2, Infinity)];
}

function apply(call: Call, name: string, low: number, high: number): Value {
  const value = call.input(0);
  const { machine } = call.program;
  if (value.kind === "constant") {
    const compute = SINGLE_FUNCTIONS[name];
    if (!compute) throw new Unsupported(`${name} of a constant is unknown.`);
    const results = Array.from(value.data, (x) => compute(x, low, high));
    const data = value.isWhole ? results : Float32Array.from(results);
    return constant(value.shape, data, value.isWhole);
  }
  const operator = SINGLES.indexOf(name);
  const [length, source] = [count(value.shape), value.block.address];
  return call.program.compute(value.shape, (out) =>
    machine.kernels.transform(operator, out, source, length, low, high),
  );
}

/** tanh and the logistic function, which the kernels have not: number by number. */
export function curve(compute: (x: number) => number): (call: Call) => Value {
  return (call) => {
    const value = call.input(0);
    const { machine } = call.program;
    if (value.kind === "constant") return constant(value.shape, Float32Array.from(value.data, compute));
    const { block } = value;
    const length = count(value.shape);
    const result = call.program.compute(value.shape, () => {
      const from = machine.floats(block, length);
      const to = machine.floats(result.block, length);
      for (let index = 0; index < length; index++) to[index] = compute(from[index]);
    });
    return result;
  };
}

/** ReduceSum and ReduceMean over neighbouring axes. */
export function reduction(call: Call): Value {
  const value = call.input(0);
  const rank = value.shape.length;
  const listed = call.inputs[1] === undefined ? call.numbers("axes", []) : call.whole(1);
  const axes = listed.map((axis) => axisOf(axis, rank)).sort((one, other) => one - other);
  if (value.kind === "constant" || axes.length === 0) throw new Unsupported("A sum is unknown.");
  const [first, last] = [axes[0], axes[axes.length - 1]];
  if (last - first + 1 !== axes.length) throw new Unsupported("A sum is over separate axes.");
  const [outer, length, inner] = [
    count(value.shape.slice(0, first)),
    count(value.shape.slice(first, last + 1)),
    count(value.shape.slice(last + 1)),
  ];
  const keeps = call.number("keepdims", 1) !== 0;
  const shape = value.shape.flatMap((size, axis) => (axes.includes(axis) ? (keeps ? [1] : []) : [size]));
  const factor = call.node.operator === "ReduceMean" ? 1 / length : 1;
  const { machine } = call.program;
  const source = value.block.address;
  return call.program.compute(shape, (out) =>
    machine.kernels.reduce(out, source, outer, length, inner, factor),
  );
}

/** Whole numbers or floats. Variables are floats always; conversions to bytes come last. */
export function cast(call: Call): Value {
  const value = call.input(0);
  const isWhole = ![1, 10, 11].includes(call.number("to", 1));
  if (value.kind === "variable") return call.program.view(value, value.shape);
  if (!isWhole) return constant(value.shape, Float32Array.from(value.data));
  return constant(value.shape, Array.from(value.data, Math.trunc), true);
}
