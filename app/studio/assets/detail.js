// One face opened: what it is mixed with, how it looks, how to take it away.

import { t, toast } from "./chrome.js";
import { Picture } from "./picture.js";
import { caption, filename, snippet } from "./snippets.js";
import * as states from "./state.js";

const id = (name) => document.getElementById(name);
// Pixels of a picture on the screen, whatever size is taken away: a sheet has several faces, and a
// loop of 512 takes as long as a hundred stills.
const SHOWN = 512;
const SHOWN_EACH = 256;

export class Detail {
  /** `change(changes, push)` changes the state; `randomly()` gives a seed. */
  constructor({ change, randomly, failed }) {
    this.change = change;
    this.dialog = id("detail");
    this.picture = new Picture(id("picture"), { failed });
    this.kind = "url";
    this.choices();
    this.inputs(randomly);
    this.acts();
  }

  choices() {
    id("size").append(...states.SIZES.map((size) => new Option(`${size} px`, size)));
    id("views").addEventListener("change", (event) => this.change({ view: event.target.value }));
    id("kinds").addEventListener("change", (event) => {
      this.kind = event.target.value;
      this.tell();
    });
    for (const name of ["format", "shape"]) {
      id(name).addEventListener("change", (event) => this.change({ [name]: event.target.value }));
    }
    id("size").addEventListener("change", (event) => this.change({ size: Number(event.target.value) }));
    id("pin").addEventListener("change", (event) => this.change({ pin: event.target.checked }));
    // A select says so when it is changed, a slider while it moves.
    id("traits").addEventListener("input", (event) => {
      const { name, value, type } = event.target;
      if (name === "age") return this.change({ age: value === "1" ? null : Number(value) });
      const traits = { ...this.state.traits, [name]: value };
      if (!value || (type === "range" && Number(value) === 0)) delete traits[name];
      this.change({ traits });
    });
  }

  inputs(randomly) {
    id("with").addEventListener("input", (event) => this.change({ with: event.target.value }));
    id("with-dice").addEventListener("click", () => this.change({ with: randomly() }));
    id("swap").addEventListener("click", () =>
      this.change({ seed: this.state.with, with: this.state.seed, t: Number((1 - this.state.t).toFixed(2)) }),
    );
    id("t").addEventListener("input", (event) => this.change({ t: Number(event.target.value), loop: false }));
    id("at").addEventListener("input", (event) => this.change({ at: Number(event.target.value) }));
    id("psi2").addEventListener("input", (event) => this.change({ psi: Number(event.target.value) }));
    id("loop").addEventListener("click", () => this.change({ loop: !this.state.loop }));
    id("family").addEventListener("click", (event) => {
      const chosen = event.target.closest("button")?.dataset.child;
      if (chosen !== undefined) this.change({ child: chosen === "" ? null : Number(chosen) });
    });
  }

  acts() {
    id("copy").addEventListener("click", () => copy(id("snippet").textContent));
    id("share").addEventListener("click", () => share(caption(this.state)));
    const close = () => this.change({ open: false }, true);
    id("detail-close").addEventListener("click", close);
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      close();
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) close(); // the backdrop
    });
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
      id("detail-title").focus();
    }
  }

  fill() {
    const { state, version } = this;
    const two = state.view !== "face";
    const many = states.isSheet(state) || (state.view === "morph" && state.loop);
    const size = many ? SHOWN_EACH : SHOWN;
    const shown = states.asked(state, version, { size, format: "webp" });
    this.picture.show(shown, caption(state));
    this.picture.frame.classList.toggle("wide", states.isSheet(state));
    this.picture.frame.dataset.shape = state.shape;
    id("detail-title").textContent = caption(state) || t("playground.empty");
    id("views").querySelector(`[value=${state.view}]`).checked = true;
    id("second").hidden = !two;
    if (two) this.fillSecond();
    else id("family").hidden = true;
    this.fillLook();
    this.fillTraits();
    this.tell();
  }

  fillSecond() {
    const { state, version } = this;
    const layers = this.described?.card.network.layers;
    set(id("with"), state.with);
    id("way").hidden = state.view === "family";
    id("morph-way").hidden = state.view !== "morph";
    id("mix-way").hidden = state.view !== "mix";
    id("loop").hidden = state.view !== "morph";
    id("loop").setAttribute("aria-pressed", state.loop);
    id("unmixable").hidden = !(state.view === "mix" && layers === 0);
    set(id("t"), state.t);
    id("t-told").textContent = `${Math.round(state.t * 100)} %`;
    if (layers !== undefined) {
      id("at").max = Math.max(1, layers);
      set(id("at"), state.at ?? Math.floor((layers + 1) / 2));
      id("at-told").textContent = `${id("at").value} / ${layers}`;
    }
    source(id("thumb-a"), states.face(state, state.seed, 64, version));
    source(id("thumb-b"), states.face(state, state.with, 64, version));
    this.fillFamily();
  }

  fillFamily() {
    const { state, version } = this;
    const place = id("family");
    place.hidden = state.view !== "family";
    if (place.hidden) return;
    if (!place.firstChild) {
      const labels = [["", t("playground.all")], ...range(states.CHILDREN).map((n) => [n, t("playground.child", { number: n + 1 })])];
      place.append(...labels.map(([value, label]) => childButton(value, label)));
    }
    for (const button of place.children) {
      const chosen = button.dataset.child;
      button.setAttribute("aria-pressed", chosen === String(state.child ?? ""));
      if (chosen !== "") source(button.firstChild, states.child(state, Number(chosen), 64, version));
    }
  }

  fillLook() {
    const { state } = this;
    const formats = states.formats(state);
    const select = id("format");
    if ([...select.options].map((option) => option.value).join() !== formats.join()) {
      select.replaceChildren(...formats.map((name) => new Option(name.toUpperCase(), name)));
    }
    select.value = states.format(state);
    if (!states.SIZES.includes(state.size) && !id("size").querySelector(`[value="${state.size}"]`)) {
      id("size").append(new Option(`${state.size} px`, state.size));
    }
    id("size").value = state.size;
    id("shape").value = state.shape;
    id("pin").checked = state.pin;
    set(id("psi2"), state.psi);
    id("psi2-told").textContent = state.psi.toFixed(2);
  }

  fillTraits() {
    const { state, version, described } = this;
    const place = id("traits");
    if (described && place.dataset.of !== version) {
      place.dataset.of = version;
      const fields = Object.entries(described.traits).map(([name, schema]) => trait(name, schema));
      if (described.card.moments?.length) fields.push(slider("age", { minimum: 0, maximum: 1 }, t("playground.age")));
      place.replaceChildren(...fields);
    }
    for (const select of place.querySelectorAll("select")) select.value = state.traits[select.name] ?? "";
    for (const range of place.querySelectorAll("input")) {
      const age = range.name === "age";
      set(range, age ? (state.age ?? 1) : (state.traits[range.name] ?? 0));
      range.closest(".field").hidden = age && state.view !== "face";
      // An earlier face has no sliders: its directions were others.
      range.disabled = !age && state.age !== null && state.view === "face";
      range.previousSibling.querySelector("output").textContent = Number(range.value).toFixed(2);
    }
  }

  /** The snippet and the file. */
  tell() {
    const { state } = this;
    const version = state.pin ? this.version : state.model || null;
    id("snippet").textContent = snippet(this.kind, state, version);
    id("download").href = states.asked(state, this.version);
    id("download").download = filename(state, states.format(state));
  }
}

const range = (count) => [...Array(count).keys()];

/** Not while somebody types in it: the cursor would jump. */
function set(input, value) {
  if (input.value !== String(value)) input.value = value;
}

function source(image, url) {
  if (image.getAttribute("src") !== url) image.src = url;
}

function childButton(value, label) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.child = value;
  if (value === "") {
    button.textContent = label;
  } else {
    const image = new Image(64, 64);
    image.alt = label;
    button.append(image);
  }
  return button;
}

function trait(name, schema) {
  if (schema.type === "number") return slider(name, schema, told(name));
  const select = document.createElement("select");
  const options = schema.enum.map((value) => new Option(told(value), value));
  select.append(new Option(t("playground.trait.own"), ""), ...options);
  return field(name, select, told(name));
}

function slider(name, schema, words) {
  const range = document.createElement("input");
  Object.assign(range, { type: "range", min: schema.minimum, max: schema.maximum, step: 0.05 });
  const made = field(name, range, `${words} `);
  made.classList.add("slider");
  if (schema.description) made.title = schema.description;
  range.previousSibling.append(document.createElement("output"));
  return made;
}

function field(name, input, words) {
  const made = document.createElement("div");
  made.className = "field";
  const label = document.createElement("label");
  label.textContent = words;
  input.id = label.htmlFor = `trait-${name}`;
  input.name = name;
  made.append(label, input);
  return made;
}

// Names of traits are the dataset's own.
function told(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

async function share(title) {
  if (!navigator.share) return copy(location.href);
  try {
    await navigator.share({ title, url: location.href });
  } catch (error) {
    if (error.name !== "AbortError") copy(location.href);
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyFromPage(text); // without TLS there is no clipboard
  }
  toast(t("common.copied"));
}

function copyFromPage(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
