/** The models that a thread has loaded, the last used ones alone: each takes some 10 MiB. */

import type { Model } from "./model.js";
import { engine } from "./shared_engine.js";

const MOST = 2;
const RETRY = 60_000; // ms after a model did not load

export class Models {
  private readonly loaded = new Map<string, Promise<Model>>(); // by version, the last used at the end

  constructor(private readonly server: string) {}

  /** The model of a version or an alias. Rejects where it cannot be loaded or drawn with. */
  async get(name: string): Promise<Model> {
    const loading = this.loaded.get(name) ?? engine.open(this.server, name);
    this.use(name, loading);
    loading.catch(() => setTimeout(() => this.forget(name, loading), RETRY));
    const model = await loading;
    const { version } = model.manifest;
    if (name === version) return model;
    this.forget(name, loading); // an alias moves
    this.use(version, this.loaded.get(version) ?? loading);
    return model;
  }

  private use(name: string, loading: Promise<Model>): void {
    this.loaded.delete(name);
    this.loaded.set(name, loading);
    for (const oldest of this.loaded.keys()) if (this.loaded.size > MOST) this.loaded.delete(oldest);
  }

  private forget(name: string, loading: Promise<Model>): void {
    if (this.loaded.get(name) === loading) this.loaded.delete(name);
  }
}
