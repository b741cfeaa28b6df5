/** Faces for a page, drawn in a thread of this browser.
 *
 *     const faces = await LocalFaces.open("https://faces.example/");
 *     const image = await faces.draw("ada", 128, { psi: 0.7 });
 *
 * Where the server's service worker controls the page, that draws, so that one thread holds the
 * model; else a worker of the page does.
 */

import type { Answer, DrawRequest, OpenRequest } from "./answers.js";
import type { Look } from "./model.js";
import { PageWorker } from "./page_worker.js";
import { askServiceWorker } from "./service_request.js";

export type { Look };

export interface Face {
  image: ImageData;
  milliseconds: number; // of drawing, without its wait
}

export class LocalFaces {
  version = "";
  resolution = 0;
  memory = 0; // bytes of the networks when they were loaded
  private worker: Promise<PageWorker> | undefined;
  private silent: ServiceWorker | undefined; // did not answer

  private constructor(private readonly server: string) {}

  /** Load a model of a Kao server. Rejects where it cannot be drawn with here. */
  static async open(server: string, model = "default"): Promise<LocalFaces> {
    const faces = new LocalFaces(server);
    const answer = await faces.ask({ kind: "open", model });
    if (answer.kind !== "opened") {
      faces.close();
      throw new Error(answer.kind === "failed" ? answer.message : "The worker is out of step.");
    }
    Object.assign(faces, { version: answer.version, resolution: answer.resolution, memory: answer.memory });
    return faces;
  }

  /** A face at a size in pixels. Rejects for a trait that the model lacks. */
  async draw(seed: string, size: number, look: Look = {}): Promise<Face> {
    const answer = await this.ask({ kind: "draw", model: this.version, seed, size, look });
    if (answer.kind !== "drawn") throw new Error(answer.kind === "failed" ? answer.message : "");
    return { image: answer.image, milliseconds: answer.milliseconds };
  }

  close(): void {
    void this.worker?.then((worker) => worker.close(), () => undefined);
    this.worker = undefined;
  }

  private async ask(request: OpenRequest | DrawRequest): Promise<Answer> {
    const controller = controllerOf(this.server);
    if (controller && controller !== this.silent) {
      const answer = await askServiceWorker(this.server, request);
      if (answer) {
        if ((await this.worker)?.isIdle) this.close();
        return answer;
      }
      this.silent = controller;
    }
    this.worker ??= PageWorker.start(this.server);
    return (await this.worker).ask(request);
  }
}

/** The service worker of a server, if it controls this page. */
function controllerOf(server: string): ServiceWorker | undefined {
  const controller = navigator.serviceWorker?.controller;
  return controller?.scriptURL === new URL("local/service.js", server).href ? controller : undefined;
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
