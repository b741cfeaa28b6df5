/** Values of a graph: constants, computed once when it is compiled, and variables. */

import type { Block, Machine } from "./machine.js";
import type { AttributeValue, Node, Tensor } from "./onnx.js";
import { count } from "./shapes.js";

export interface Constant extends Tensor {
  kind: "constant";
}

/** Numbers in the machine's memory, new in each run. */
export interface Variable {
  kind: "variable";
  shape: number[];
  block: Block;
}

export type Value = Constant | Variable;

/** A graph has something that this engine does not compute: the server draws instead. */
export class Unsupported extends Error {}

export function constant(shape: number[], data: Float32Array | number[], isWhole = false): Constant {
  return { kind: "constant", shape, data, isWhole };
}

/** What operators add to while a graph is compiled. */
export class Program {
  readonly steps: (() => void)[] = [];

  constructor(readonly machine: Machine) {}

  /** A new variable, computed by a step that gets its address. */
  compute(shape: number[], step: (address: number) => void): Variable {
    const block = this.machine.allocate(count(shape));
    this.steps.push(() => step(block.address));
    return { kind: "variable", shape, block };
  }

  /** The address of a value's numbers; constants are uploaded for good. */
  address(value: Value): number {
    if (value.kind === "variable") return value.block.address;
    return this.machine.upload(value.data).address;
  }

  /** The same numbers in another shape. */
  view(value: Value, shape: number[]): Value {
    if (count(shape) !== count(value.shape)) throw new Unsupported("A shape does not fit.");
    if (value.kind === "constant") return { ...value, shape };
    value.block.users += 1;
    return { ...value, shape };
  }
}

/** An operator at work: its program, node, and inputs; those left out are undefined. */
export class Call {
  constructor(
    readonly program: Program,
    readonly node: Node,
    readonly inputs: readonly (Value | undefined)[],
  ) {}

  input(place: number): Value {
    const value = this.inputs[place];
    if (value === undefined) throw new Unsupported(`${this.node.operator} lacks an input.`);
    return value;
  }

  /** The numbers of an input that may not vary. */
  fixed(place: number): Constant {
    const value = this.input(place);
    if (value.kind === "constant") return value;
    throw new Unsupported(`${this.node.operator} has a size or weight that varies.`);
  }

  whole(place: number): number[] {
    return Array.from(this.fixed(place).data);
  }

  number(name: string, fallback: number): number {
    const value = this.attribute(name);
    return typeof value === "number" ? value : fallback;
  }

  numbers(name: string, fallback: number[]): number[] {
    const value = this.attribute(name);
    return Array.isArray(value) ? value : fallback;
  }

  text(name: string, fallback: string): string {
    const value = this.attribute(name);
    return typeof value === "string" ? value : fallback;
  }

  attribute(name: string): AttributeValue | undefined {
    return this.node.attributes.get(name);
  }
}
