// The dialog of one face: a second face, traits, size and format, code to embed it, download.

import { byId, copy, create, on, t, write } from "./page.js";
import { Picture } from "./picture.js";
import { caption, describe, filename, snippet } from "./snippets.js";
import * as states from "./state.js";
import { Traits } from "./traits.js";

// Pixels of the picture on the screen, whatever size is downloaded: a sheet has several faces, and
// a loop of 512 takes as long as a hundred stills.
const PREVIEW = 512;
const PREVIEW_OF_MANY = 256;
const NAMES = { url: "URL", html: "HTML", markdown: "Markdown", react: "React" };

export class Detail {
  /** `change(changes, push)` changes the state, `close()` closes the dialog, `randomSeed()` gives a seed. */
  constructor({ change, close, randomSeed, failed }) {
    Object.assign(this, { change, close });
    this.dialog = byId("detail");
    this.picture = new Picture(byId("picture"), { failed });
    this.kind = "url";
    this.traits = new Traits(byId("traits"), {
      change: (traits) => change({ traits }),
      age: (age) => change({ age }),
    });
    this.listenToLook(randomSeed);
    this.listenToSecond(randomSeed);
    this.listenToButtons();
  }

  listenToLook(randomSeed) {
    byId("size").append(...states.SIZES.map((size) => new Option(`${size} px`, size)));
    on("views", "change", (event) => this.change({ view: event.target.value }));
    on("kinds", "change", (event) => {
      this.kind = event.target.value;
      this.showCode();
    });
    for (const name of ["format", "shape"]) {
      on(name, "change", (event) => this.change({ [name]: event.target.value }));
    }
    on("size", "change", (event) => this.change({ size: Number(event.target.value) }));
    on("pin", "change", (event) => this.change({ pin: event.target.checked }));
    on("psi2", "input", (event) => this.change({ psi: Number(event.target.value) }));
    on("reset", "click", () => this.change({ traits: {}, psi: null, age: null }));
    on("surprise", "click", () => this.change({ seed: randomSeed(), traits: this.traits.random() }, false));
  }

  listenToSecond(randomSeed) {
    on("with", "input", (event) => this.change({ with: event.target.value }));
    on("with-dice", "click", () => this.change({ with: randomSeed() }));
    on("swap", "click", () =>
      this.change({ seed: this.state.with, with: this.state.seed, t: Number((1 - this.state.t).toFixed(2)) }),
    );
    on("t", "input", (event) => this.change({ t: Number(event.target.value), loop: false }));
    on("at", "input", (event) => this.change({ at: Number(event.target.value) }));
    on("loop", "click", () => this.change({ loop: !this.state.loop }));
    on("family", "click", (event) => {
      const index = event.target.closest("button")?.dataset.child;
      if (index !== undefined) this.change({ child: index === "" ? null : Number(index) });
    });
  }

  listenToButtons() {
    on("copy", "click", () => copy(byId("snippet").textContent));
    on("share", "click", () => share(caption(this.state)));
    for (const [name, by] of [["previous", -1], ["next", 1]]) on(name, "click", () => this.step(by));
    on("detail-title", "keydown", ({ key }) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[key];
      if (by) this.step(by);
    });
    on("detail-close", "click", () => this.close());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.close(); // the backdrop
    });
  }

  /** Show the face beside this one on the wall, whose seeds are whole numbers in order. */
  step(by) {
    const { seed, wall } = this.state;
    const number = /^\d{1,15}$/.test(seed) ? Math.max(0, Number(seed) + by) : wall;
    this.change({ seed: String(number), child: null });
  }

  /** Show a state. `version`: the model that draws; `described`: its card and traits, once known. */
  show(state, version, described) {
    Object.assign(this, { state, version, described });
    if (!state.open) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    this.fill();
    if (!this.dialog.open) {
      this.dialog.showModal();
      byId("detail-title").focus();
    }
  }

  fill() {
    const { state, version, described } = this;
    const hasSecond = state.view !== "face";
    const hasMany = states.isSheet(state) || (state.view === "morph" && state.loop);
    const size = hasMany ? PREVIEW_OF_MANY : PREVIEW;
    const format = states.format(state) === "svg" ? "svg" : "webp"; // a traced face looks different
    this.picture.show(states.full(state, version, { size, format }), caption(state));
    this.picture.frame.classList.toggle("wide", states.isSheet(state));
    this.picture.frame.dataset.shape = state.shape;
    write(byId("detail-title"), caption(state));
    byId("detail-title").title = caption(state);
    byId("views").querySelector(`[value=${state.view}]`).checked = true;
    byId("second").hidden = !hasSecond;
    if (hasSecond) this.fillSecond();
    else byId("family").hidden = true;
    this.fillLook();
    if (described) this.traits.show(state, version, described);
    byId("surprise").hidden = !Object.values(described?.traits ?? {}).some((schema) => schema.enum);
    byId("reset").disabled = !Object.keys(state.traits).length && state.psi === null && state.age === null;
    this.showCode();
  }

  fillSecond() {
    const { state, version } = this;
    const layers = this.described?.card.network.layers;
    set(byId("with"), state.with);
    byId("way").hidden = state.view === "family";
    byId("morph-way").hidden = state.view !== "morph";
    byId("mix-way").hidden = state.view !== "mix";
    byId("loop").hidden = state.view !== "morph";
    byId("loop").setAttribute("aria-pressed", state.loop);
    byId("unmixable").hidden = !(state.view === "mix" && layers === 0);
    set(byId("t"), state.t);
    write(byId("t-value"), `${Math.round(state.t * 100)} %`);
    if (layers !== undefined) {
      byId("at").max = Math.max(1, layers);
      set(byId("at"), state.at ?? Math.floor((layers + 1) / 2));
      write(byId("at-value"), `${byId("at").value} / ${layers}`);
    }
    setSource(byId("thumb-a"), states.face(state, state.seed, 64, version));
    setSource(byId("thumb-b"), states.face(state, state.with, 64, version));
    this.fillFamily();
  }

  fillFamily() {
    const { state, version } = this;
    const place = byId("family");
    place.hidden = state.view !== "family";
    if (place.hidden) return;
    if (!place.firstChild) {
      const children = [...Array(states.CHILDREN).keys()].map((n) => [n, t("playground.child", { number: n + 1 })]);
      const labels = [["", t("playground.all")], ...children];
      place.append(...labels.map(([value, label]) => childButton(value, label)));
    }
    for (const button of place.children) {
      const index = button.dataset.child;
      button.setAttribute("aria-pressed", index === String(state.child ?? ""));
      if (index !== "") setSource(button.firstChild, states.child(state, Number(index), 64, version));
    }
  }

  fillLook() {
    const { state } = this;
    const formats = states.formats(state);
    const select = byId("format");
    if ([...select.options].map((option) => option.value).join() !== formats.join()) {
      select.replaceChildren(...formats.map((name) => new Option(name.toUpperCase(), name)));
    }
    select.value = states.format(state);
    if (!byId("size").querySelector(`[value="${state.size}"]`)) {
      byId("size").append(new Option(`${state.size} px`, state.size));
    }
    byId("size").value = state.size;
    byId("shape").value = state.shape;
    byId("pin").checked = state.pin;
    const psi = state.psi ?? this.described?.card.psi ?? 1;
    set(byId("psi2"), psi);
    write(byId("psi2-value"), psi.toFixed(2));
  }

  showCode() {
    const { state } = this;
    const version = state.pin ? this.version : state.model || null;
    const alt = this.kind === "url" ? "" : describe(state, this.version, () => this.showCode());
    write(byId("snippet"), snippet(this.kind, state, version, alt));
    write(byId("copy"), t("playground.copy.kind", { kind: NAMES[this.kind] }));
    byId("download").href = states.full(state, this.version);
    byId("download").download = filename(state, states.format(state));
  }
}

/** Set a value only where it differs: setting it moves the cursor of a field in which one types. */
function set(input, value) {
  if (input.value !== String(value)) input.value = value;
}

function setSource(image, url) {
  if (image.getAttribute("src") !== url) image.src = url;
}

function childButton(value, label) {
  const content = value === "" ? label : Object.assign(new Image(64, 64), { alt: label });
  const button = create("button", { type: "button" }, content);
  button.dataset.child = value;
  return button;
}

async function share(title) {
  if (!navigator.share) return copy(location.href);
  try {
    await navigator.share({ title, url: location.href });
  } catch (error) {
    if (error.name !== "AbortError") copy(location.href);
  }
}
