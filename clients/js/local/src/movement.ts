/** Operators that place numbers elsewhere without computing any. */

import { axisOf, broadcast, count, repeatedStrides, strides } from "./shapes.js";
import { constant, Unsupported, type Call, type Program, type Value } from "./values.js";

/** For each axis of the output, the distances within the input of its places. */
type Tables = number[][];

/** out[i, j, …] = in[tables[0][i] + tables[1][j] + …]. */
export function place(program: Program, value: Value, tables: Tables): Value {
  const shape = tables.map((table) => table.length);
  if (value.kind === "constant") {
    let places = [0];
    for (const table of tables) places = places.flatMap((start) => table.map((at) => start + at));
    const data = value.isWhole
      ? places.map((at) => value.data[at])
      : Float32Array.from(places, (at) => value.data[at]);
    return constant(shape, data, value.isWhole);
  }
  const four = joinedTables(tables);
  const last = four[3];
  const isRow = last.every((at, index) => at === last[0] + index);
  const sizes = [...four.map((table) => table.length), Number(isRow), ...four.flat()];
  const { machine } = program;
  const table = machine.uploadWhole(sizes).address;
  const source = value.block.address;
  return program.compute(shape, (out) => machine.kernels.move(out, source, table));
}

/** Four tables: axes of one place joined with others, then the last ones while there are more. */
function joinedTables(tables: Tables): Tables {
  const rest = tables.filter((table) => table.length > 1 || table[0] !== 0);
  while (rest.length > 4) {
    const [inner, outer] = [rest.pop() as number[], rest.pop() as number[]];
    rest.push(outer.flatMap((start) => inner.map((at) => start + at)));
  }
  while (rest.length < 4) rest.unshift([0]);
  return rest;
}

function tablesOf(shape: readonly number[]): Tables {
  const steps = strides(shape);
  return shape.map((size, axis) => Array.from({ length: size }, (_, index) => index * steps[axis]));
}

export function slice(call: Call): Value {
  const value = call.input(0);
  const tables = tablesOf(value.shape);
  const [starts, ends] = [call.whole(1), call.whole(2)];
  const axes = call.inputs[3] === undefined ? starts.map((_, axis) => axis) : call.whole(3);
  const steps = call.inputs[4] === undefined ? starts.map(() => 1) : call.whole(4);
  axes.forEach((each, index) => {
    const axis = axisOf(each, value.shape.length);
    const [size, step] = [value.shape[axis], steps[index]];
    const bounded = (limit: number, low: number, high: number) =>
      Math.min(Math.max(limit < 0 ? limit + size : limit, low), high);
    const start = bounded(starts[index], 0, step > 0 ? size : size - 1);
    const end = ends[index] < -size ? -1 : bounded(ends[index], -1, size);
    const kept: number[] = [];
    for (let at = start; step > 0 ? at < end : at > end; at += step) kept.push(tables[axis][at]);
    tables[axis] = kept;
  });
  return place(call.program, value, tables);
}

export function gather(call: Call): Value {
  const value = call.input(0);
  const indices = call.fixed(1);
  const axis = axisOf(call.number("axis", 0), value.shape.length);
  const tables = tablesOf(value.shape);
  const [all, size] = [tables[axis], value.shape[axis]];
  tables[axis] = Array.from(indices.data, (index) => all[axisOf(index, size)]);
  const shape = [...value.shape.slice(0, axis), ...indices.shape, ...value.shape.slice(axis + 1)];
  return reshaped(call.program, place(call.program, value, tables), shape);
}

/** The same numbers in another shape, for a value that nothing else uses. */
function reshaped(program: Program, value: Value, shape: number[]): Value {
  if (count(shape) !== count(value.shape)) throw new Unsupported("A shape does not fit.");
  return { ...value, shape };
}

export function transpose(call: Call): Value {
  const value = call.input(0);
  const reversed = value.shape.map((_, axis) => value.shape.length - 1 - axis);
  const tables = tablesOf(value.shape);
  return place(call.program, value, call.numbers("perm", reversed).map((axis) => tables[axis]));
}

/** Pad by repeating the edges. */
export function pad(call: Call): Value {
  if (call.text("mode", "constant") !== "edge") throw new Unsupported("Only edges are padded.");
  const value = call.input(0);
  const amounts = call.whole(1);
  const rank = value.shape.length;
  const tables = tablesOf(value.shape).map((table, axis) => {
    const [before, after] = [amounts[axis], amounts[axis + rank]];
    const first = new Array<number>(before).fill(table[0]);
    return [...first, ...table, ...new Array<number>(after).fill(table[table.length - 1])];
  });
  return place(call.program, value, tables);
}

export function concat(call: Call): Value {
  const values = call.inputs.map((_, index) => call.input(index));
  const axis = axisOf(call.number("axis", 0), values[0].shape.length);
  const shape = values[0].shape.slice();
  shape[axis] = values.reduce((sum, value) => sum + value.shape[axis], 0);
  const outer = count(shape.slice(0, axis));
  const lengths = values.map((value) => count(value.shape) / outer);
  if (values.every((value) => value.kind === "constant")) {
    const data: number[] = [];
    for (let row = 0; row < outer; row++) {
      values.forEach((value, index) => {
        const start = row * lengths[index];
        for (let at = start; at < start + lengths[index]; at++) data.push(value.data[at]);
      });
    }
    const isWhole = values[0].isWhole;
    return constant(shape, isWhole ? data : Float32Array.from(data), isWhole);
  }
  if (outer !== 1) throw new Unsupported("Only the first axis of variables is joined.");
  const { machine } = call.program;
  const sources = values.map((value) => call.program.address(value));
  const tables = lengths.map((length) => machine.uploadWhole([1, 1, 1, length, 1, 0, 0, 0, 0]).address);
  return call.program.compute(shape, (out) => {
    sources.forEach((source, index) => {
      machine.kernels.move(out, source, tables[index]);
      out += lengths[index] * 4;
    });
  });
}

export function expand(call: Call): Value {
  const value = call.input(0);
  const shape = broadcast(value.shape, call.whole(1));
  const steps = repeatedStrides(value.shape, shape);
  const tables = shape.map((size, axis) => Array.from({ length: size }, (_, at) => at * steps[axis]));
  return place(call.program, value, tables);
}

/** DepthToSpace: blocks of channels become blocks of pixels (arXiv:1609.05158). */
export function depthToSpace(call: Call): Value {
  const value = call.input(0);
  const side = call.number("blocksize", 1);
  const [, channels, height, width] = value.shape;
  const out = channels / side ** 2;
  const isColumnFirst = call.text("mode", "DCR") === "DCR";
  const [ofChannel, ofBlock] = isColumnFirst ? [1, out] : [side ** 2, 1];
  const plane = height * width;
  const along = (size: number, step: number) =>
    Array.from({ length: size }, (_, at) => at * step * plane);
  const rows = Array.from({ length: height }, (_, row) =>
    along(side, side * ofBlock).map((at) => at + row * width),
  ).flat();
  const columns = Array.from({ length: width }, (_, column) =>
    along(side, ofBlock).map((at) => at + column),
  ).flat();
  return place(call.program, value, [[0], along(out, ofChannel), rows, columns]);
}

export function reshape(call: Call): Value {
  const value = call.input(0);
  const asked = call.whole(1).map((size, axis) => (size === 0 ? value.shape[axis] : size));
  const known = asked.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
  const shape = asked.map((size) => (size === -1 ? count(value.shape) / known : size));
  return call.program.view(value, shape);
}

export function flatten(call: Call): Value {
  const value = call.input(0);
  const axis = axisOf(call.number("axis", 1), value.shape.length);
  const rows = count(value.shape.slice(0, axis));
  return call.program.view(value, [rows, count(value.shape) / rows]);
}

export function unsqueeze(call: Call): Value {
  const value = call.input(0);
  const axes = call.whole(1);
  const rank = value.shape.length + axes.length;
  const added = new Set(axes.map((axis) => axisOf(axis, rank)));
  const sizes = value.shape.slice();
  const shape = Array.from({ length: rank }, (_, axis) =>
    added.has(axis) ? 1 : (sizes.shift() as number),
  );
  return call.program.view(value, shape);
}

export function squeeze(call: Call): Value {
  const value = call.input(0);
  const axes = call.whole(1).map((axis) => axisOf(axis, value.shape.length));
  return call.program.view(value, value.shape.filter((_, axis) => !axes.includes(axis)));
}

export function identity(call: Call): Value {
  return call.program.view(call.input(0), call.input(0).shape);
}
