/** A page's own thread that draws. */

import type { Answer, DrawRequest, OpenRequest } from "./answers.js";
import type { WorkerAnswer, WorkerRequest } from "./worker.js";

export class PageWorker {
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private last = 0;

  private constructor(
    private readonly worker: Worker,
    private readonly server: string,
  ) {
    worker.addEventListener("message", ({ data: { id, reply } }: MessageEvent<WorkerAnswer>) => {
      this.waiting.get(id)?.(reply);
      this.waiting.delete(id);
    });
    worker.addEventListener("error", () => this.fail("The worker failed."));
  }

  /** A worker's script must be of the page's origin; those of another server become one blob. */
  static async start(server: string): Promise<PageWorker> {
    const address = new URL("local/worker.js", server);
    if (address.origin === location.origin) return new PageWorker(new Worker(address), server);
    const scripts = ["engine.js", address].map(async (name) => (await fetch(new URL(name, address))).text());
    const blob = URL.createObjectURL(new Blob([(await Promise.all(scripts)).join("\n")]));
    const worker = new Worker(blob);
    URL.revokeObjectURL(blob);
    return new PageWorker(worker, server);
  }

  ask(request: OpenRequest | DrawRequest): Promise<Answer> {
    const message: WorkerRequest = { id: ++this.last, server: this.server, request };
    return new Promise((resolve) => {
      this.waiting.set(message.id, resolve);
      this.worker.postMessage(message);
    });
  }

  get isIdle(): boolean {
    return this.waiting.size === 0;
  }

  close(): void {
    this.worker.terminate();
    this.fail("The worker was closed.");
  }

  private fail(message: string): void {
    for (const resolve of this.waiting.values()) resolve({ kind: "failed", message });
    this.waiting.clear();
  }
}
