/** The thread that draws for a page: one model, requests by messages. */

import type { Look, Model } from "./model.js";
import { engine } from "./shared_engine.js";

export interface OpenRequest {
  kind: "open";
  id: number;
  server: string;
  model: string;
}

export interface DrawRequest {
  kind: "draw";
  id: number;
  seed: string;
  size: number;
  look: Look;
}

export type Answer =
  | { id: number; kind: "opened"; version: string; resolution: number; memory: number }
  | { id: number; kind: "drawn"; image: ImageData; milliseconds: number }
  | { id: number; kind: "failed"; message: string };

const { drawAt, open, toImageData } = engine;
let model: Model | undefined;

self.addEventListener("message", ({ data }: MessageEvent<OpenRequest | DrawRequest>) => {
  void answer(data).then(
    (reply) => self.postMessage(reply, { transfer: reply.kind === "drawn" ? [reply.image.data.buffer] : [] }),
    (error: unknown) => self.postMessage({ id: data.id, kind: "failed", message: String(error) }),
  );
});

async function answer(request: OpenRequest | DrawRequest): Promise<Answer> {
  const { id } = request;
  if (request.kind === "open") {
    model = await open(request.server, request.model);
    const { version, network } = model.manifest;
    const { memory } = model;
    return { id, kind: "opened", version, resolution: network.resolution, memory };
  }
  if (!model) throw new Error("No model is open.");
  const start = performance.now();
  const pixels = drawAt(model, request.size, request.seed, request.look);
  const milliseconds = performance.now() - start;
  return { id, kind: "drawn", image: toImageData(pixels), milliseconds };
}
