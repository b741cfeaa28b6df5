// The models of this server by name, and their cards.

import { request } from "./page.js";
import { server } from "./state.js";

const get = async (path) => (await request(path)).json();

export class Models {
  constructor() {
    this.cards = new Map();
  }

  /** The version that a name means: an alias, a version, or the beginning of one. */
  version(name) {
    const meant = server.aliases[name || "default"] ?? name;
    return server.models.find((version) => version.startsWith(meant)) ?? meant;
  }

  async card(version) {
    if (!this.cards.has(version)) {
      const loading = get(`/models/${encodeURIComponent(version)}`);
      loading.catch(() => this.cards.delete(version));
      this.cards.set(version, loading);
    }
    return this.cards.get(version);
  }
}
