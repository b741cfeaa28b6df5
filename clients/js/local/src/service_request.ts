/** Drawing by the service worker that controls the page. */

import type { Answer, DrawRequest, OpenRequest } from "./answers.js";

/** An answer; undefined where the service worker gave none: an older one, or one that was ended. */
export async function askServiceWorker(
  server: string,
  request: OpenRequest | DrawRequest,
): Promise<Answer | undefined> {
  try {
    const body = JSON.stringify(request);
    const response = await fetch(new URL("local/draw", server), { method: "POST", body });
    const kind = response.headers.get("X-Kao-Local");
    if (kind === null) return undefined; // from the server, which does not know this address
    if (kind !== "drawn") return (await response.json()) as Answer;
    const bytes = new Uint8ClampedArray(await response.arrayBuffer());
    const milliseconds = Number(response.headers.get("X-Kao-Milliseconds"));
    return { kind, image: new ImageData(bytes, Math.sqrt(bytes.length / 4)), milliseconds };
  } catch {
    return undefined;
  }
}
