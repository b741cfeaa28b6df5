/** The engine within a worker: from a script beside this one, unless a blob has both. */

import type { Engine } from "./engine.js";

if (!globalThis.kaoEngine) importScripts("engine.js");

export const engine = globalThis.kaoEngine as Engine;
