// The controls of a model's traits: a swatch for each colour, a small face for each other value,
// a slider for each number.

import { create, t, translated, write } from "./page.js";
import { face, server } from "./state.js";

const MOST_FACES = 12; // values that are shown as faces; more are a list
const FACE = 64;

/** Whether a trait's JSON Schema allows a value as an address has it. */
export function accepts(schema, value) {
  if (!schema) return false;
  if (schema.enum) return schema.enum.includes(value);
  return value.trim() !== "" && Number(value) >= schema.minimum && Number(value) <= schema.maximum;
}

export const traitName = (name) => translated(`trait.${name}`, plain(name));
const valueName = (trait, value) => translated(`trait.${trait}.${value}`, plain(value));

/** A dataset's own name as words: `hair_colour` is "Hair colour". */
function plain(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export class Traits {
  /** `change(traits)` gets all chosen values by trait; `age(value)` a checkpoint's age or null. */
  constructor(element, { change, age }) {
    Object.assign(this, { element, change, onAge: age });
    element.addEventListener("input", (event) => this.changed(event.target));
    element.addEventListener("dblclick", (event) => {
      if (event.target.type !== "range") return;
      event.target.value = event.target.dataset.neutral;
      this.changed(event.target);
    });
  }

  changed({ name, value, type, dataset }) {
    const trait = name.replace("trait-", "");
    if (trait === "age") return this.onAge(value === "1" ? null : Number(value));
    const traits = { ...this.state.traits, [trait]: value };
    if (!value || (type === "range" && Number(value) === Number(dataset.neutral))) delete traits[trait];
    this.change(traits);
  }

  random() {
    const words = Object.entries(this.schemas).filter(([, schema]) => schema.enum);
    return Object.fromEntries(words.map(([name, schema]) => [name, schema.enum[Math.floor(Math.random() * schema.enum.length)]]));
  }

  /** Show the values of a state. `described`: the model's card and traits. */
  show(state, version, described) {
    this.state = state;
    if (this.version !== version) this.build(version, described);
    for (const group of this.element.querySelectorAll("fieldset")) {
      const value = state.traits[group.dataset.trait] ?? "";
      group.querySelectorAll("input").forEach((input) => (input.checked = input.value === value));
    }
    for (const select of this.element.querySelectorAll("select")) {
      select.value = state.traits[select.dataset.trait] ?? "";
    }
    for (const range of this.element.querySelectorAll("[type=range]")) this.showSlider(range);
    this.drawFaces();
  }

  build(version, described) {
    this.version = version;
    this.schemas = described.traits;
    const fields = Object.entries(this.schemas).map(([name, schema]) => (schema.enum ? choice(name, schema.enum) : slider(name, schema)));
    if (described.card.moments?.length) fields.push(slider("age", { minimum: 0, maximum: 1 }, t("playground.age")));
    this.element.replaceChildren(...fields);
  }

  showSlider(range) {
    const { state } = this;
    const age = range.name === "trait-age";
    const value = age ? (state.age ?? 1) : (state.traits[range.dataset.trait] ?? range.dataset.neutral);
    if (Number(range.value) !== Number(value)) range.value = value;
    range.closest(".field").hidden = age && state.view !== "face";
    // An earlier checkpoint has no sliders: its directions were others.
    range.disabled = !age && state.age !== null && state.view === "face";
    write(range.previousSibling.querySelector("output"), Number(range.value).toFixed(2));
    range.style.setProperty("--at", `${(100 * (range.value - range.min)) / (range.max - range.min)}%`);
  }

  /** The small faces: this very face with each value. They are drawn once the state rests. */
  drawFaces() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const { state, version } = this;
      for (const image of this.element.querySelectorAll("img")) {
        const { trait, value } = image.dataset;
        const url = face({ ...state, traits: { ...state.traits, [trait]: value } }, state.seed, FACE, version);
        if (image.getAttribute("src") !== url) image.src = url;
      }
    }, 300);
  }
}

function choice(name, values) {
  const colours = server.swatches[name] ?? {};
  if (values.every((value) => value in colours)) return radios(name, values, (value) => swatch(colours[value]));
  if (values.length <= MOST_FACES) return radios(name, values, (value) => smallFace(name, value));
  return select(name, values);
}

function radios(name, values, content) {
  const options = ["", ...values].map((value) => {
    const input = create("input", { type: "radio", name: `trait-${name}`, value });
    const title = value ? valueName(name, value) : t("playground.trait.own");
    const text = create("span", { className: value ? "sr" : "" }, title);
    return create("label", { title, className: value ? "" : "auto" }, input, ...(value ? [content(value)] : []), text);
  });
  const group = create("fieldset", { className: "choices" }, create("legend", {}, traitName(name)), ...options);
  group.dataset.trait = name;
  return group;
}

function swatch(colour) {
  const place = create("span", { className: "swatch" });
  place.style.setProperty("--colour", `#${colour}`);
  return place;
}

function smallFace(trait, value) {
  const image = new Image(FACE, FACE);
  image.alt = "";
  Object.assign(image.dataset, { trait, value });
  return image;
}

function select(name, values) {
  const options = values.map((value) => new Option(valueName(name, value), value));
  const input = create("select", {}, new Option(t("playground.trait.own"), ""), ...options);
  return field(name, input, traitName(name));
}

function slider(name, schema, words = traitName(name)) {
  const input = create("input", { type: "range", min: schema.minimum, max: schema.maximum, step: 0.05 });
  input.dataset.neutral = name === "age" ? 1 : 0;
  if (schema.minimum < 0) input.className = "centred";
  const place = field(name, input, `${words} `);
  place.classList.add("slider");
  const help = translated(`trait.${name}.help`, "");
  if (help) place.title = help;
  input.previousSibling.append(create("output"));
  return place;
}

function field(name, input, words) {
  const label = create("label", {}, words);
  input.id = label.htmlFor = input.name = `trait-${name}`;
  input.dataset.trait = name;
  return create("div", { className: "field" }, label, input);
}
