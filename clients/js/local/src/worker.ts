/** The thread that draws for a page which no service worker draws for. */

import { answer, type Answer, type DrawRequest, type OpenRequest } from "./answers.js";
import { Models } from "./models.js";

export interface WorkerRequest {
  id: number;
  server: string;
  request: OpenRequest | DrawRequest;
}

export interface WorkerAnswer {
  id: number;
  reply: Answer;
}

let models: Models | undefined;

self.addEventListener("message", ({ data: { id, server, request } }: MessageEvent<WorkerRequest>) => {
  models ??= new Models(server);
  void answer(request, models).then((reply) =>
    self.postMessage({ id, reply }, { transfer: reply.kind === "drawn" ? [reply.image.data.buffer] : [] }),
  );
});
