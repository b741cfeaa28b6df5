/** Faces for a page, drawn in a thread of this browser.
 *
 *     const faces = await LocalFaces.open("https://faces.example/");
 *     const image = await faces.draw("ada", 128, { psi: 0.7 });
 */

import type { Look } from "./model.js";
import type { Answer, DrawRequest, OpenRequest } from "./worker.js";

export type { Look };

export interface Face {
  image: ImageData;
  milliseconds: number; // of drawing, without its wait
}

type Request = Omit<OpenRequest, "id"> | Omit<DrawRequest, "id">;

export class LocalFaces {
  version = "";
  resolution = 0;
  memory = 0; // bytes of the networks when they were loaded
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private last = 0;

  private constructor(private readonly worker: Worker) {
    worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    });
    worker.addEventListener("error", () => {
      for (const [id, resolve] of this.waiting) resolve({ id, kind: "failed", message: "The worker failed." });
      this.waiting.clear();
    });
  }

  /** Load a model of a Kao server. Rejects where it cannot be drawn with here. */
  static async open(server: string, model = "default"): Promise<LocalFaces> {
    const faces = new LocalFaces(await startWorker(new URL("local/worker.js", server)));
    const answer = await faces.ask({ kind: "open", server, model });
    if (answer.kind !== "opened") {
      faces.close();
      throw new Error(answer.kind === "failed" ? answer.message : "The worker is out of step.");
    }
    Object.assign(faces, { version: answer.version, resolution: answer.resolution, memory: answer.memory });
    return faces;
  }

  /** A face at a size in pixels. Rejects for a trait that the model lacks. */
  async draw(seed: string, size: number, look: Look = {}): Promise<Face> {
    const answer = await this.ask({ kind: "draw", seed, size, look });
    if (answer.kind !== "drawn") throw new Error(answer.kind === "failed" ? answer.message : "");
    return { image: answer.image, milliseconds: answer.milliseconds };
  }

  close(): void {
    this.worker.terminate();
  }

  private ask(request: Request): Promise<Answer> {
    const id = ++this.last;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.worker.postMessage({ ...request, id });
    });
  }
}

/** A worker's script must be of the page's origin; those of another server become one blob. */
async function startWorker(address: URL): Promise<Worker> {
  if (address.origin === location.origin) return new Worker(address);
  const scripts = ["engine.js", address].map(async (name) => (await fetch(new URL(name, address))).text());
  const blob = URL.createObjectURL(new Blob([(await Promise.all(scripts)).join("\n")]));
  const worker = new Worker(blob);
  URL.revokeObjectURL(blob);
  return worker;
}

/** Let a service worker draw the pictures of this server's pages from now on. */
export async function drawPicturesHere(server: string): Promise<ServiceWorkerRegistration> {
  const registration = await navigator.serviceWorker.register(new URL("local/service.js", server), {
    scope: new URL("./", server).pathname,
  });
  await navigator.serviceWorker.ready;
  return registration;
}

/** Let the server draw them again. */
export async function drawPicturesThere(server: string): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration(server);
  await registration?.unregister();
}
