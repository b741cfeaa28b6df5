/** Requests to draw, and their answers: the worker of a page gets them as messages, the service worker
 * as `POST local/draw`. None depends on one before it, since a browser ends service workers at will. */

import type { Look } from "./model.js";
import type { Models } from "./models.js";
import { engine } from "./shared_engine.js";

export interface OpenRequest {
  kind: "open";
  model: string; // a name; the answer has its version
}

export interface DrawRequest {
  kind: "draw";
  model: string;
  seed: string;
  size: number;
  look: Look;
}

export type Answer =
  | { kind: "opened"; version: string; resolution: number; memory: number }
  | { kind: "drawn"; image: ImageData; milliseconds: number }
  | { kind: "failed"; message: string };

export async function answer(request: OpenRequest | DrawRequest, models: Models): Promise<Answer> {
  try {
    const model = await models.get(request.model);
    if (request.kind === "open") {
      const { version, network } = model.manifest;
      return { kind: "opened", version, resolution: network.resolution, memory: model.memory };
    }
    const start = performance.now();
    const pixels = engine.drawAt(model, request.size, request.seed, request.look);
    const milliseconds = performance.now() - start;
    return { kind: "drawn", image: engine.toImageData(pixels), milliseconds };
  } catch (error) {
    return { kind: "failed", message: String(error) };
  }
}
