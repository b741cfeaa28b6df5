/** Builds the scripts that Kao serves: node build.mjs [FOLDER]
 *
 * kernels.wasm is compiled where clang with a WebAssembly target is installed; else the one in git
 * is used.
 */

import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(HERE, "../../../app/local/scripts");
const FLAGS = [
  "--target=wasm32", "-O2", "-msimd128", "-mbulk-memory", "-nostdlib", "-fno-builtin",
  "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--export-dynamic",
  "-Wl,--strip-all", "-Wl,-z,stack-size=16384", "-Wl,--import-memory", "-Wl,--initial-memory=1048576",
];

for (const compiler of ["clang-16", "clang"]) {
  const files = [join(HERE, "src/kernels.c"), "-o", join(HERE, "src/kernels.wasm")];
  const { error, status, stderr } = spawnSync(compiler, [...FLAGS, ...files], { encoding: "utf8" });
  if (!error && status !== 0) throw new Error(stderr);
  if (!error) break;
}

const common = {
  bundle: true, minify: true, target: "es2022", charset: "utf8", legalComments: "none",
  loader: { ".wasm": "binary" }, logLevel: "warning",
};
const source = (name) => join(HERE, `src/${name}.ts`);
await build({ ...common, entryPoints: ["core", "faces", "page"].map(source), format: "esm", outdir: folder });
await build({ ...common, entryPoints: ["worker", "service"].map(source), format: "iife", outdir: folder });
