/** Everything that draws, without a browser: for tests, and for programs that load files themselves. */

export { kernels } from "./kernels.js";
export { open } from "./loading.js";
export { Machine } from "./machine.js";
export { Model, type Look, type Manifest, type Morph, type Pixels } from "./model.js";
export { quantile } from "./normal.js";
export { parseQuery, traitsOf } from "./requests.js";
export { drawAt, toImageData } from "./pictures.js";
export { reduce, resample } from "./resampling.js";
export { Scratch } from "./scratch.js";
export { derive, normals, probes, SPECIFICATION, uniforms } from "./seeds.js";
export { numberOf, select, type Attribute } from "./traits.js";
export { Unsupported } from "./values.js";
