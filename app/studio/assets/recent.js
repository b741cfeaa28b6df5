// The last ten faces that were looked at, in a strip; they stay for the session.

import { create } from "./page.js";

const KEY = "kao.recent";
const EXAMPLES = ["Sora", "Yuki", "Leo", "Mika", "Ada", "Toto", "Nova", "Rin", "Hana"]; // before there are others
const MOST = 10;
const REST = 900; // ms after which a face counts as looked at: not each letter of a name is one

export class Recent {
  /** `picture(seed)` gives a small face's address, `label(seed)` its name, `choose(seed)` shows it. */
  constructor(element, { picture, label, choose }) {
    Object.assign(this, { element, picture, label });
    this.seeds = JSON.parse(sessionStorage.getItem(KEY)) ?? EXAMPLES;
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(button.dataset.seed);
    });
  }

  /** Mark the seed that is shown, and add it once it has been shown for a while. */
  add(seed) {
    this.mark(seed);
    clearTimeout(this.timer);
    if (this.element.firstChild) this.timer = setTimeout(() => this.insert(seed), REST);
    else this.insert(seed);
  }

  insert(seed) {
    const isNew = !this.seeds.includes(seed);
    if (isNew) this.seeds = [seed, ...this.seeds].slice(0, MOST);
    sessionStorage.setItem(KEY, JSON.stringify(this.seeds));
    if (isNew || !this.element.firstChild) this.build();
    this.mark(seed);
  }

  build() {
    this.element.replaceChildren(...this.seeds.map((seed) => this.item(seed)));
  }

  item(seed) {
    const image = Object.assign(new Image(64, 64), { alt: this.label(seed), src: this.picture(seed) });
    const button = create("button", { type: "button", title: seed }, image);
    button.dataset.seed = seed;
    return create("li", {}, button);
  }

  refresh() {
    for (const button of this.element.querySelectorAll("button")) {
      button.firstChild.src = this.picture(button.dataset.seed);
    }
  }

  mark(seed) {
    for (const button of this.element.querySelectorAll("button")) {
      button.ariaCurrent = button.dataset.seed === seed || null;
    }
  }
}
