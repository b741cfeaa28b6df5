// allocate.mjs ENGINE FOLDER: bytes of buffers that five pictures of 192 pixels and three of 512 leave
// behind, without garbage collection, once one of each size was drawn.
import { readFileSync } from "node:fs";

globalThis.ImageData = class {
  constructor(data) {
    this.data = data;
  }
};
await import(process.argv[2]);
const { drawAt, kernels, Machine, Model, Scratch, toImageData } = globalThis.kaoEngine;
const read = (name) => readFileSync(`${process.argv[3]}/${name}`);
const manifest = JSON.parse(read("browser.json"));
const packed = new Map(Object.keys(manifest.files).map((name) => [name, new Uint8Array(read(name))]));
const model = new Model(manifest, packed, new Machine(await kernels()));
const scratch = new Scratch();
const draw = (seed, size) => toImageData(drawAt(model, size, seed, {}), scratch);

draw("first", 192);
draw("first", 512);
const before = process.memoryUsage().arrayBuffers;
for (const seed of ["a", "b", "c", "d", "e"]) draw(seed, 192);
for (const seed of ["a", "b", "c"]) draw(seed, 512);
console.log(process.memoryUsage().arrayBuffers - before);
