/** A model in the browser: seeds and traits to pixels, as the server draws them. */

import { Machine } from "./machine.js";
import { Network } from "./network.js";
import { parse } from "./onnx.js";
import { free } from "./scratch.js";
import { derive, probes, SPECIFICATION } from "./seeds.js";
import { select, type Attribute } from "./traits.js";
import { tensors, unpack } from "./unpacking.js";
import { Unsupported } from "./values.js";

export interface ManifestFile {
  url: string;
  bytes: number;
  sha256: string;
  packed_bytes: number;
  gzip_bytes: number;
}

/** GET /models/{version}/browser.json */
export interface Manifest {
  format: number;
  version: string;
  seed_specification: number;
  network: { resolution: number; latent: number; style: number; layers: number };
  truncation: "average" | "attributes";
  psi: number;
  attributes: Attribute[];
  sliders: string[];
  enlarger_scale: number;
  files: Record<string, ManifestFile>;
}

/** What a face looks like, beside its seed. Without `psi` it has the model's own; `traits`: values of
 * attributes and of sliders. */
export interface Look {
  psi?: number | undefined;
  variant?: number;
  traits?: Readonly<Record<string, string | number>>;
  morph?: Morph | undefined;
}

/** On the way to the face of another seed; `t`: 0 to 1. */
export interface Morph {
  to: string;
  t: number;
}

/** RGB bytes of a square picture, valid until the next one is drawn: its memory is used again. */
export interface Pixels {
  side: number;
  bytes: Uint8Array;
}

const MOST_PSI = 1.5;
const MOST_VARIANT = 999;
const WEIGHTS = "generator.safetensors";
const SLIDERS = "traits.safetensors";

export class Model {
  private readonly mapping: Network | undefined;
  private readonly synthesis: Network;
  private readonly average: Float32Array | undefined;
  private readonly vectors: Map<string, Float32Array>;
  private readonly enlargerGraph: Uint8Array | undefined;
  private enlarger: Network | undefined;
  private probes: Float32Array[] | undefined;

  /** `packed`: the files of the manifest as they travel. Throws Unsupported, RangeError. */
  constructor(
    readonly manifest: Manifest,
    packed: ReadonlyMap<string, Uint8Array>,
    private readonly machine: Machine,
  ) {
    if (manifest.format !== 1 || manifest.seed_specification !== SPECIFICATION) {
      throw new Unsupported("This model is of a later format.");
    }
    const read = (name: string): Uint8Array | undefined => {
      const content = packed.get(name);
      return content && unpack(content, manifest.files[name].sha256);
    };
    const weights = read(WEIGHTS);
    const compile = (graph: Uint8Array | undefined): Network => {
      if (!weights || !graph) throw new Unsupported("This model lacks a file.");
      return new Network(machine, parse(graph, () => weights));
    };
    this.mapping = manifest.network.layers ? compile(read("mapping.onnx")) : undefined;
    this.synthesis = compile(read("synthesis.onnx"));
    // A copy, since a view would keep the whole file.
    this.average = weights && this.mapping && tensors(weights).get("mapping.average")?.slice();
    const sliders = read(SLIDERS);
    this.vectors = sliders ? tensors(sliders) : new Map<string, Float32Array>();
    if (weights) free(weights.buffer);
    this.enlargerGraph = read("enlarger.onnx");
  }

  /** Bytes of memory that the networks hold. */
  get memory(): number {
    return this.machine.size;
  }

  /** The face at the network's resolution. Throws RangeError for a trait that the model lacks. */
  draw(seed: string, look: Look = {}): Pixels {
    const { morph, ...rest } = look;
    const style = this.style(seed, rest);
    return this.synthesise(morph ? this.between(style, this.style(morph.to, rest), morph.t) : style);
  }

  /** Linear between two styles; a model without a mapping goes along the sphere, which is not here. */
  private between(a: Float32Array, b: Float32Array, t: number): Float32Array {
    if (!this.mapping) throw new RangeError("This model has no styles to go between.");
    if (!(t >= 0 && t <= 1)) throw new RangeError("t is from 0 to 1.");
    const [first, second] = [Math.fround(1 - t), Math.fround(t)];
    return a.map((value, index) => Math.fround(first * value) + Math.fround(second * b[index]));
  }

  /** A face as it is best resized to `size`: through the enlarger where that is larger. */
  drawFor(size: number, seed: string, look: Look = {}): Pixels {
    const enlarger = size > this.manifest.network.resolution ? this.openEnlarger() : undefined;
    const face = this.draw(seed, look);
    if (!enlarger) return face;
    return { side: face.side * this.manifest.enlarger_scale, bytes: enlarger.runToBytes(face.bytes) };
  }

  /** The style w (style,) of a seed; without a mapping the scaled z. */
  style(seed: string, look: Look = {}): Float32Array {
    const { attributes, network } = this.manifest;
    const traits = look.traits ?? {};
    const z = select(derive(seed, network.latent, look.variant), attributes, traits);
    const offered = attributes.filter(({ hidden }) => !hidden);
    const known = new Set([...offered.map(({ name }) => name), ...this.manifest.sliders]);
    const { psi = this.manifest.psi, variant = 0 } = look;
    const isInRange = psi >= 0 && psi <= MOST_PSI && variant >= 0 && variant <= MOST_VARIANT;
    if (!isInRange || !Number.isInteger(variant)) throw new RangeError("psi or variant is out of range.");
    const unknown = Object.keys(traits).find((name) => !known.has(name));
    if (unknown !== undefined) throw new RangeError(`This model has no trait ${unknown}.`);
    const w = this.truncate(this.mapping ? this.mapping.run(z) : z, psi, z);
    return this.steer(w, traits);
  }

  /** w (style,), the same in all rows, to pixels. */
  synthesise(w: Float32Array): Pixels {
    const rows = this.manifest.network.layers || 1;
    const styles = new Float32Array(rows * w.length);
    for (let row = 0; row < rows; row++) styles.set(w, row * w.length);
    return { side: this.manifest.network.resolution, bytes: this.synthesis.runToBytes(styles) };
  }

  /** Compiled before a face is drawn, whose view the growing memory would end. */
  private openEnlarger(): Network | undefined {
    const graph = this.enlargerGraph;
    if (graph) this.enlarger ??= new Network(this.machine, parse(graph, () => new Uint8Array()));
    return this.enlarger;
  }

  private truncate(w: Float32Array, psi: number, z: Float32Array): Float32Array {
    if (psi === 1) return w;
    const centre = this.centre(z);
    const share = Math.fround(psi);
    return w.map((value, index) => centre[index] + Math.fround(share * Math.fround(value - centre[index])));
  }

  /** What psi pulls towards (style,): see models/bundle/generator.py. */
  private centre(z: Float32Array): Float32Array {
    if (!this.mapping || !this.average) return new Float32Array(z.length);
    if (this.manifest.truncation === "average") return this.average;
    const free = z.length - this.manifest.attributes.length;
    this.probes ??= probes(free);
    const sum = new Float64Array(this.average.length);
    for (const probe of this.probes) {
      const latent = z.slice();
      latent.set(probe);
      this.mapping.run(latent).forEach((value, index) => (sum[index] += value));
    }
    const count = this.probes.length;
    return Float32Array.from(sum, (value) => value / count);
  }

  private steer(w: Float32Array, traits: Readonly<Record<string, string | number>>): Float32Array {
    let style = w;
    for (const name of this.manifest.sliders.filter((slider) => slider in traits).sort()) {
      const value = Math.fround(Number(traits[name]));
      if (!(Math.abs(value) <= 1)) throw new RangeError(`${name} is a number from -1 to 1.`);
      if (value === 0) continue;
      const vector = this.vectors.get(name);
      if (!vector) throw new Unsupported(`The slider ${name} has no vector.`);
      style = style.map((number, index) => number + Math.fround(value * vector[index]));
    }
    return style;
  }
}
