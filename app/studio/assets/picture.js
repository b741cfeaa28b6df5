// A picture that changes without flicker: the next one is loaded beside it, then fades in.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/**
 * Whoever asks faster than pictures come gets the last one asked for, and those between are not
 * loaded: at most one is under way.
 */
export class Picture {
  constructor(frame, { fade = true, failed = () => {} } = {}) {
    this.frame = frame;
    this.fade = fade;
    this.failed = failed;
    this.wanted = null;
    this.loading = null;
    this.shown = null;
  }

  show(url, alt) {
    this.alt = alt;
    if (url === this.shown && !this.loading) return this.label(alt);
    this.wanted = url;
    if (!this.loading) this.next();
  }

  async next() {
    const url = this.wanted;
    this.loading = url;
    const image = new Image();
    image.decoding = "async";
    image.fetchPriority = "high"; // before the wall, which has a hundred
    image.draggable = false;
    image.src = url;
    try {
      await image.decode();
      this.replace(image, url);
    } catch {
      if (this.wanted === url) await this.why(url);
    }
    this.loading = null;
    if (this.wanted !== url) this.next();
  }

  replace(image, url) {
    const before = [...this.frame.querySelectorAll("img")];
    this.frame.append(image);
    this.shown = url;
    this.frame.dataset.shown = url;
    this.label(this.alt);
    const gone = () => before.forEach((old) => old.remove());
    if (!this.fade || calm.matches || !before.length) return gone();
    image.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 220, easing: "ease-out" }).finished.then(gone, gone);
  }

  label(alt) {
    this.frame.querySelectorAll("img").forEach((image) => (image.alt = ""));
    const now = this.frame.querySelector("img:last-of-type");
    if (now) now.alt = alt;
  }

  // An <img> does not tell the reason, and the server's answer does.
  async why(url) {
    try {
      const answer = await fetch(url);
      this.failed(answer.ok ? null : (await answer.json()).detail);
    } catch {
      this.failed(null);
    }
  }
}
