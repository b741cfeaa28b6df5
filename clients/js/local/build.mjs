/** Builds the scripts that Kao serves: node build.mjs [--kernels] [FOLDER]
 *
 * --kernels compiles kernels.c anew, which needs clang and lld for WebAssembly; else the
 * kernels.wasm in git is used.
 */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const folder = words.find((word) => word !== "--kernels") ?? join(HERE, "../../../app/local/scripts");
const FLAGS = [
  "--target=wasm32", "-O2", "-msimd128", "-mbulk-memory", "-nostdlib", "-fno-builtin",
  "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--export-dynamic",
  "-Wl,--strip-all", "-Wl,-z,stack-size=16384", "-Wl,--import-memory", "-Wl,--initial-memory=1048576",
];

if (words.includes("--kernels")) {
  const files = [join(HERE, "src/kernels.c"), "-o", join(HERE, "src/kernels.wasm")];
  const compiler = process.env.CC ?? "clang";
  const { error, status, stderr } = spawnSync(compiler, [...FLAGS, ...files], { encoding: "utf8" });
  if (error || status !== 0) throw error ?? new Error(stderr);
}

const licence = readFileSync(join(HERE, "node_modules/@noble/hashes/LICENSE"), "utf8").trim();
// engine alone contains it; worker and service load that script.
const banner = { js: `/*! SHA-256 by @noble/hashes:\n${licence}\n*/` };
const common = {
  bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none",
  loader: { ".wasm": "binary" }, logLevel: "warning", outdir: folder,
};
const source = (name) => join(HERE, `src/${name}.ts`);
await build({ ...common, entryPoints: ["faces", "live", "page"].map(source), format: "esm" });
await build({ ...common, banner, entryPoints: [source("engine")], format: "iife" });
await build({ ...common, entryPoints: ["worker", "service"].map(source), format: "iife" });
