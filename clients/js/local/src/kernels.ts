/** The compiled kernels.c, within the script, so that drawing loads one file less. */

import bytes from "./kernels.wasm";

export function kernels(): Promise<WebAssembly.Module> {
  return WebAssembly.compile(bytes);
}
