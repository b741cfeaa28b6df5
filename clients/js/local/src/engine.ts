/** The engine as a script that the worker and the service worker load: core.ts as a global. */

import * as core from "./core.js";

export type Engine = typeof core;

declare global {
  var kaoEngine: Engine | undefined;
}

globalThis.kaoEngine = core;
