// derive.mjs ENGINE VECTORS: recompute the vectors in JavaScript; prints them as JSON.
import { readFileSync } from "node:fs";

await import(process.argv[2]);
const { derive, normals, numberOf, probes } = globalThis.kaoEngine;
const vectors = JSON.parse(readFileSync(process.argv[3], "utf8"));
const numbers = (row) => Array.from(row);
console.log(JSON.stringify({
  latents: vectors.latents.map(({ seed, variant, z }) => numbers(derive(seed, z.length, variant))),
  streams: vectors.streams.map(({ seed, key, z }) => numbers(normals(seed, key, z.length))),
  probes: probes(vectors.probes[0].length).map(numbers),
  attributes: vectors.attributes.map((attribute) =>
    Object.keys(attribute.normals).map((value) => Math.fround(numberOf(attribute, value)))),
}));
