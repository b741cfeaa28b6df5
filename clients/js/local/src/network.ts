/** A network: an ONNX graph compiled to steps of kernels. */

import { cast, curve, pair, reduction, single } from "./arithmetic.js";
import * as layers from "./layers.js";
import type { Machine } from "./machine.js";
import * as movement from "./movement.js";
import type { Graph } from "./onnx.js";
import { free } from "./scratch.js";
import { count } from "./shapes.js";
import { Call, Program, Unsupported, type Constant, type Value, type Variable } from "./values.js";

const OPERATORS: Record<string, (call: Call) => Value> = {
  Abs: single,
  Add: pair,
  And: pair,
  BatchNormalization: layers.normalisation,
  Cast: cast,
  Clip: single,
  Concat: movement.concat,
  Constant: layers.constantOf,
  ConstantOfShape: layers.filled,
  Conv: layers.convolution,
  ConvTranspose: layers.transposedConvolution,
  DepthToSpace: movement.depthToSpace,
  Div: pair,
  Equal: pair,
  Expand: movement.expand,
  Flatten: movement.flatten,
  Gather: movement.gather,
  Gemm: layers.linear,
  Greater: pair,
  Identity: movement.identity,
  LeakyRelu: single,
  LessOrEqual: pair,
  MatMul: layers.product,
  Max: pair,
  Min: pair,
  Mod: pair,
  Mul: pair,
  Neg: single,
  Pad: movement.pad,
  Pow: pair,
  ReduceMean: reduction,
  ReduceSum: reduction,
  Relu: single,
  Reshape: movement.reshape,
  Resize: layers.resizing,
  Round: single,
  Shape: layers.shapeOf,
  Sigmoid: curve((x) => 1 / (1 + Math.exp(-x))),
  Slice: movement.slice,
  Sqrt: single,
  Squeeze: movement.squeeze,
  Sub: pair,
  Tanh: curve(Math.tanh),
  Transpose: movement.transpose,
  Unsqueeze: movement.unsqueeze,
};

export class Network {
  private readonly program: Program;
  private readonly input: Variable;
  private readonly output: Value;
  private constants: Constant[] = []; // that the graph computes while it is compiled

  /** Compile a graph of one input. Throws Unsupported for what the engine does not compute. */
  constructor(
    private readonly machine: Machine,
    graph: Graph,
  ) {
    this.program = new Program(machine);
    const [{ name, shape }] = graph.inputs;
    this.input = { kind: "variable", shape, block: machine.reserve(count(shape)) };
    this.output = this.compile(graph, name);
    for (const { data } of this.constants) {
      // Not the views of the file of weights, which other networks are compiled from.
      if (data instanceof Float32Array && data.byteLength === data.buffer.byteLength) free(data.buffer);
    }
    this.constants = [];
  }

  /** Numbers in, numbers out, both in C order; the result is a copy. */
  run(numbers: ArrayLike<number>): Float32Array {
    this.machine.floats(this.input.block, numbers.length).set(numbers);
    for (const step of this.program.steps) step();
    return this.machine.floats(this.outputBlock, this.outputCount).slice();
  }

  /** The same for whole numbers from 0 to 255; the result is a view that the next run overwrites. */
  runToBytes(numbers: ArrayLike<number>): Uint8Array {
    this.machine.floats(this.input.block, numbers.length).set(numbers);
    for (const step of this.program.steps) step();
    const { address } = this.outputBlock;
    // In place: each byte lies before the number that it is read from, or on it.
    this.machine.kernels.to_bytes(address, address, this.outputCount);
    return this.machine.bytes(this.outputBlock, this.outputCount);
  }

  /** The shape of the result, its first size 1. */
  get shape(): number[] {
    return this.output.shape;
  }

  private get outputBlock() {
    if (this.output.kind === "constant") throw new Unsupported("The graph draws a constant.");
    return this.output.block;
  }

  private get outputCount(): number {
    return count(this.output.shape);
  }

  private compile(graph: Graph, inputName: string): Value {
    const values = new Map<string, Value>([[inputName, this.input]]);
    for (const [name, tensor] of graph.weights) values.set(name, { kind: "constant", ...tensor });
    const uses = new Map<string, number>([[graph.output, 1], [inputName, 1]]);
    for (const name of graph.nodes.flatMap((node) => node.inputs)) {
      uses.set(name, (uses.get(name) ?? 0) + 1);
    }
    for (const node of graph.nodes) {
      const operator = OPERATORS[node.operator];
      if (!operator) throw new Unsupported(`The operator ${node.operator} is unknown.`);
      const inputs = node.inputs.map((name) => (name ? values.get(name) : undefined));
      const result = operator(new Call(this.program, node, inputs));
      if (result.kind === "constant") this.constants.push(result);
      values.set(node.outputs[0], result);
      for (const name of node.inputs) this.release(name, values, uses);
    }
    const output = values.get(graph.output);
    if (!output) throw new Unsupported("The graph has no output.");
    return output;
  }

  /** One use of a value less; after the last its memory may hold others. */
  private release(name: string, values: Map<string, Value>, uses: Map<string, number>): void {
    const left = (uses.get(name) ?? 0) - 1;
    uses.set(name, left);
    const value = values.get(name);
    if (left !== 0 || !value) return;
    if (value.kind === "variable") this.machine.release(value.block);
    values.delete(name);
  }
}
