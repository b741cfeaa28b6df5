// draw.mjs ENGINE FOLDER OUT: draw the pictures of FOLDER/jobs.json with its packed files; one after
// the other, their RGB bytes go to OUT.
import { readFileSync, writeFileSync } from "node:fs";

// Node would show the line of an error too, and that is the whole engine.
process.on("uncaughtException", (error) => {
  writeFileSync(2, `${error}\n`);
  process.exit(1);
});
await import(process.argv[2]);
const { drawAt, kernels, Machine, Model } = globalThis.kaoEngine;
const [, , , folder, out] = process.argv;
const read = (name) => readFileSync(`${folder}/${name}`);
const manifest = JSON.parse(read("browser.json"));
const packed = new Map(Object.keys(manifest.files).map((name) => [name, new Uint8Array(read(name))]));
const model = new Model(manifest, packed, new Machine(await kernels()));
const { resolution } = manifest.network;
const pictures = JSON.parse(read("jobs.json")).map(({ seed, size, look }) =>
  drawAt(model, size ?? resolution, seed, look ?? {}).bytes.slice());
writeFileSync(out, Buffer.concat(pictures));
