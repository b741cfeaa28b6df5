/** Reads ONNX graphs: the few fields of onnx.proto (IR version 8) that drawing needs. */

import { floatsOf } from "./unpacking.js";

/** Numbers of a tensor; whole ones (int64, bool, uint8) as plain numbers. */
export interface Tensor {
  shape: number[];
  isWhole: boolean;
  data: Float32Array | number[];
}

export type AttributeValue = number | number[] | string | Tensor;

export interface Node {
  operator: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, AttributeValue>;
}

export interface Graph {
  nodes: Node[];
  weights: Map<string, Tensor>;
  inputs: { name: string; shape: number[] }[]; // a free size is 1
  output: string;
}

type Field = { number: number; value: number; bytes: Uint8Array };

const FLOAT = 1;
const WHOLE = new Set([2, 3, 6, 7, 9]); // uint8, int8, int32, int64, bool
const decoder = new TextDecoder();

/** Parse a graph. `external`: the bytes of a file beside it, which weights may lie in. */
export function parse(bytes: Uint8Array, external: (location: string) => Uint8Array): Graph {
  const graph: Graph = { nodes: [], weights: new Map(), inputs: [], output: "" };
  const values: { name: string; shape: number[] }[] = [];
  for (const model of fields(bytes)) {
    if (model.number !== 7) continue;
    for (const field of fields(model.bytes)) {
      if (field.number === 1) graph.nodes.push(parseNode(field.bytes, external));
      else if (field.number === 5) {
        const { name, tensor } = parseTensor(field.bytes, external);
        graph.weights.set(name, tensor);
      } else if (field.number === 11) values.push(parseValue(field.bytes));
      else if (field.number === 12) graph.output = parseValue(field.bytes).name;
    }
  }
  graph.inputs = values.filter((value) => !graph.weights.has(value.name));
  return graph;
}

function* fields(bytes: Uint8Array): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let place = 0;
  const integer = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[place++];
      if (byte === undefined) throw new RangeError("The graph is cut off.");
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  while (place < bytes.length) {
    const key = integer();
    const field: Field = { number: key >> 3, value: 0, bytes: new Uint8Array() };
    if ((key & 7) === 0) field.value = integer();
    else if ((key & 7) === 2) {
      const length = integer();
      field.bytes = bytes.subarray(place, place + length);
      place += length;
    } else {
      const isDouble = (key & 7) === 1;
      field.value = isDouble ? view.getFloat64(place, true) : view.getFloat32(place, true);
      place += isDouble ? 8 : 4;
    }
    yield field;
  }
}

function parseNode(bytes: Uint8Array, external: (location: string) => Uint8Array): Node {
  const node: Node = { operator: "", inputs: [], outputs: [], attributes: new Map() };
  for (const field of fields(bytes)) {
    if (field.number === 1) node.inputs.push(decoder.decode(field.bytes));
    else if (field.number === 2) node.outputs.push(decoder.decode(field.bytes));
    else if (field.number === 4) node.operator = decoder.decode(field.bytes);
    else if (field.number === 5) {
      const { name, value } = parseAttribute(field.bytes, external);
      node.attributes.set(name, value);
    }
  }
  return node;
}

function parseAttribute(
  bytes: Uint8Array,
  external: (location: string) => Uint8Array,
): { name: string; value: AttributeValue } {
  let name = "";
  let value: AttributeValue | undefined;
  const list: number[] = [];
  for (const field of fields(bytes)) {
    if (field.number === 1) name = decoder.decode(field.bytes);
    else if (field.number === 2 || field.number === 3) value = field.value;
    else if (field.number === 4) value = decoder.decode(field.bytes);
    else if (field.number === 5) value = parseTensor(field.bytes, external).tensor;
    else if (field.number === 8) list.push(...integers(field));
  }
  return { name, value: value ?? list };
}

function parseTensor(
  bytes: Uint8Array,
  external: (location: string) => Uint8Array,
): { name: string; tensor: Tensor } {
  const shape: number[] = [];
  const place = new Map<string, string>();
  let name = "";
  let type = FLOAT;
  let raw: Uint8Array = new Uint8Array();
  for (const field of fields(bytes)) {
    if (field.number === 1) shape.push(...integers(field));
    else if (field.number === 2) type = field.value;
    else if (field.number === 8) name = decoder.decode(field.bytes);
    else if (field.number === 9) raw = field.bytes;
    else if (field.number === 13) {
      const entry = [...fields(field.bytes)];
      const text = (number: number) =>
        decoder.decode(entry.find((part) => part.number === number)?.bytes);
      place.set(text(1), text(2));
    } else if ([4, 5, 7, 10].includes(field.number)) {
      throw new RangeError(`The tensor ${name} has its numbers in an unknown field.`);
    }
  }
  const location = place.get("location");
  if (location !== undefined) {
    const start = Number(place.get("offset"));
    raw = external(location).subarray(start, start + Number(place.get("length")));
  }
  const isWhole = WHOLE.has(type);
  if (!isWhole && type !== FLOAT) throw new RangeError(`Numbers of type ${type} are unknown.`);
  const data = isWhole ? wholeNumbers(raw.slice(), type) : floatsOf(raw);
  if (data.length !== shape.reduce((product, size) => product * size, 1)) {
    throw new RangeError(`The tensor ${name} lacks numbers.`);
  }
  return { name, tensor: { shape, isWhole, data } };
}

function wholeNumbers(raw: Uint8Array<ArrayBuffer>, type: number): number[] {
  if (type === 7) return Array.from(new BigInt64Array(raw.buffer), Number);
  if (type === 6) return Array.from(new Int32Array(raw.buffer));
  return type === 3 ? Array.from(new Int8Array(raw.buffer)) : Array.from(raw);
}

/** One number, or several that are packed. */
function integers(field: Field): number[] {
  if (field.bytes.length === 0) return [field.value];
  const numbers: number[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of field.bytes) {
    value |= BigInt(byte & 127) << shift;
    shift += 7n;
    if (byte < 128) {
      numbers.push(Number(BigInt.asIntN(64, value)));
      value = shift = 0n;
    }
  }
  return numbers;
}

function parseValue(bytes: Uint8Array): { name: string; shape: number[] } {
  const inside = (outer: Uint8Array, number: number) =>
    [...fields(outer)].filter((field) => field.number === number);
  const name = decoder.decode(inside(bytes, 1)[0]?.bytes);
  let shape: number[] = [];
  for (const number of [2, 1, 2]) {
    const next = inside(bytes, number)[0]?.bytes;
    if (next === undefined) return { name, shape };
    bytes = next;
  }
  shape = inside(bytes, 1).map((size) => inside(size.bytes, 1)[0]?.value || 1);
  return { name, shape };
}
