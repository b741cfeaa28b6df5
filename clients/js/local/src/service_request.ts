/** Drawing by the service worker that controls the page. */

import type { Answer, DrawRequest, OpenRequest } from "./answers.js";

// ms that each attempt may take. Chromium can leave a request unanswered for ever when it ends the service
// worker at a bad moment; the next attempt starts it again. A model that still loads goes on loading.
const PATIENCE = [3_000, 6_000, 20_000];

/** An answer; undefined where the service worker gives none, as older ones do. */
export async function askServiceWorker(
  server: string,
  request: OpenRequest | DrawRequest,
): Promise<Answer | undefined> {
  for (const patience of PATIENCE) {
    try {
      return await attempt(server, request, AbortSignal.timeout(patience));
    } catch {
      // Ended, or late.
    }
  }
  return undefined;
}

async function attempt(
  server: string,
  request: OpenRequest | DrawRequest,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const body = JSON.stringify(request);
  const response = await fetch(new URL("local/draw", server), { method: "POST", body, signal });
  const kind = response.headers.get("X-Kao-Local");
  if (kind === null) return undefined; // from the server, which does not know this address
  if (kind !== "drawn") return (await response.json()) as Answer;
  const bytes = new Uint8ClampedArray(await response.arrayBuffer());
  const milliseconds = Number(response.headers.get("X-Kao-Milliseconds"));
  return { kind, image: new ImageData(bytes, Math.sqrt(bytes.length / 4)), milliseconds };
}
