/** A service worker that answers <img src="/avatar?seed=…&model=VERSION"> and /morph by drawing, and
 * draws for LocalFaces (faces.ts) of the pages that it controls: one model in memory for all of them.
 *
 * In every doubt the request goes to the server: another parameter, a model that does not load, a
 * trait that is not there, an error of any kind.
 */

import { answer, type DrawRequest, type OpenRequest } from "./answers.js";
import { Models } from "./models.js";
import type { Picture } from "./requests.js";
import { engine } from "./shared_engine.js";
import { turn } from "./turns.js";

declare const self: ServiceWorkerGlobalScope;

const { drawAt, parseQuery, Scratch, toImageData, traitsOf } = engine;

const SCRIPTS = "kao-scripts-1";
const models = new Models(self.registration.scope);

self.addEventListener("install", () => void self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const scope = new URL(self.registration.scope);
  if (url.origin !== scope.origin) return;
  const path = url.pathname.startsWith(scope.pathname) ? url.pathname.slice(scope.pathname.length) : "";
  if (request.method === "POST" && path === "local/draw") event.respondWith(reply(request));
  if (request.method !== "GET") return;
  if (request.destination === "image") {
    const picture = parseQuery(url.search, path);
    if (picture) event.respondWith(draw(picture, request));
  } else if (path === "local" || path.startsWith("local/")) {
    event.respondWith(newestOrKept(request));
  }
});

/** What faces.ts asks for: bytes of RGBA, or JSON. */
async function reply(request: Request): Promise<Response> {
  const job = (await request.json()) as OpenRequest | DrawRequest;
  await turn(true);
  const result = await answer(job, models);
  if (result.kind !== "drawn") return Response.json(result, { headers: { "X-Kao-Local": result.kind } });
  const headers = { "X-Kao-Local": "drawn", "X-Kao-Milliseconds": String(result.milliseconds) };
  return new Response(result.image.data, { headers });
}

async function draw(picture: Picture, request: Request): Promise<Response> {
  try {
    const model = await models.get(picture.model);
    const traits = traitsOf(picture, model.manifest);
    if (!traits) return await fetch(request);
    const { seed, size, psi, variant, morph } = picture;
    const look = { psi, variant, traits, morph };
    const png = await toPng(() => toImageData(drawAt(model, size, seed, look), scratch));
    const headers = { "Content-Type": "image/png", "X-Avatar-Model": model.manifest.version };
    return new Response(png, { headers });
  } catch {
    return fetch(request);
  }
}

const scratch = new Scratch();
/** Two, so that one picture is drawn while another is encoded: browsers free canvases late. */
const canvases = [new OffscreenCanvas(1, 1), new OffscreenCanvas(1, 1)];
const waiting: ((canvas: OffscreenCanvas) => void)[] = [];

/** What `draw` draws when a canvas is free and nothing else waits that is shown sooner. */
async function toPng(draw: () => ImageData): Promise<Blob> {
  const canvas = canvases.pop() ?? (await new Promise<OffscreenCanvas>((resolve) => waiting.push(resolve)));
  try {
    await turn(false);
    const image = draw();
    if (canvas.width !== image.width) Object.assign(canvas, { width: image.width, height: image.height });
    (canvas.getContext("2d") as OffscreenCanvasRenderingContext2D).putImageData(image, 0, 0);
    return await canvas.convertToBlob({ type: "image/png" });
  } finally {
    const next = waiting.shift();
    if (next) next(canvas);
    else canvases.push(canvas);
  }
}

/** The page and the scripts that draw: from the server, and without one as they were last. */
async function newestOrKept(request: Request): Promise<Response> {
  try {
    const response = await fetch(request);
    if (response.ok) await keep(request, response.clone());
    return response;
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true }).catch(() => undefined);
    if (kept) return kept;
    throw error;
  }
}

async function keep(request: Request, response: Response): Promise<void> {
  try {
    await (await caches.open(SCRIPTS)).put(request, response);
  } catch {
    // Without a cache the page works as long as there is a network.
  }
}
