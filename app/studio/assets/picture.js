// A picture that changes without flicker: the next one is loaded beside it, then fades in.

import { request, root } from "./page.js";

const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

let live = null;

/** Let LiveFaces of /local/live.js draw what moves; null: nothing. */
export function followLive(faces) {
  live?.close();
  live = faces;
}

/** At most one picture loads at a time; of those requested meanwhile only the last is loaded. */
export class Picture {
  /** `failed(detail)` gets the server's sentence or null; `shown()` follows each new picture. */
  constructor(frame, { failed = () => {}, shown = () => {} } = {}) {
    Object.assign(this, { frame, failed, onShown: shown });
    this.requested = null;
    this.loading = null;
    this.current = frame.dataset.shown ?? null; // a picture that the server wrote
  }

  show(url, alt) {
    this.alt = alt;
    if (url === this.current && !this.loading) {
      this.label(alt);
      this.requested = url;
      live?.stop(this);
      // The server may have written an image that then failed to load.
      const image = this.frame.querySelector("img:last-of-type");
      return image?.decode().then(this.onShown, () => this.explain(url));
    }
    this.requested = url;
    if (!live?.follow(this, url) && !this.loading) this.load();
  }

  async load() {
    const url = this.requested;
    this.loading = url;
    const image = new Image();
    image.decoding = "async";
    image.fetchPriority = "high"; // before the hundred faces of the wall
    image.draggable = false;
    image.src = url;
    try {
      await image.decode();
      if (!live || this.requested === url) this.replace(image, url);
    } catch {
      if (this.requested === url) await this.explain(url);
    }
    this.loading = null;
    if (this.requested !== url) this.load();
  }

  replace(image, url) {
    const previous = [...this.frame.querySelectorAll("img, canvas")];
    this.frame.append(image);
    this.current = url;
    this.frame.dataset.shown = url;
    this.label(this.alt);
    this.onShown();
    const remove = () => previous.forEach((old) => old.remove());
    if (reducedMotion.matches || !previous.length) return remove();
    image.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 220, easing: "ease-out" }).finished.then(remove, remove);
  }

  label(alt) {
    const images = [...this.frame.querySelectorAll("img")];
    images.forEach((image) => (image.alt = ""));
    if (images.length) images.at(-1).alt = alt;
  }

  // An <img> does not say why it failed; the server's answer does.
  async explain(url) {
    try {
      await request(url.slice(root.length));
      this.failed(null);
    } catch (error) {
      this.failed(error.problem && error.message);
    }
  }
}
