/** Builds the package: node build.mjs [FOLDER]. Fails where the element outgrows its budget. */

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const BUDGET = 4096; // bytes of the element, gzip
const folder = process.argv[2] ?? join(HERE, "dist");

await build({
  entryPoints: ["face", "react", "vue"].map((name) => join(HERE, `src/${name}.ts`)),
  bundle: true,
  external: ["react", "vue", "./face.js"],
  minify: true,
  target: "es2022",
  format: "esm",
  legalComments: "none",
  logLevel: "warning",
  outdir: folder,
});
const bytes = gzipSync(readFileSync(join(folder, "face.js")), { level: 9 }).length;
console.log(`face.js: ${bytes} bytes, gzip`);
if (bytes > BUDGET) throw new Error(`face.js has ${bytes} bytes, gzip; at most ${BUDGET}`);
