// A recipe: a preset's, and what was changed of it; only that is sent.

import { root, t } from "./chrome.js";
import { at, call, does, problem } from "./studio.js";

const recipes = JSON.parse(at("recipes").textContent);
const form = at("new");
const controls = [...form.querySelectorAll("[data-name]")];
const LENGTHS = ["minutes", "images", "epochs"];

const path = (control) => control.dataset.name.split(".");
const preset = () => form.elements.preset.value;

function given(control) {
  return path(control).reduce((part, name) => part?.[name], recipes[preset()]) ?? null;
}

function read(control) {
  const text = control.value.trim();
  if (control.dataset.kind === "list") return text ? text.split(",").map((word) => word.trim()) : [];
  if (control.dataset.kind === "flag") return text === "true";
  if (!text) return null;
  return ["number", "integer"].includes(control.dataset.kind) ? Number(text) : text;
}

const differs = (control) => JSON.stringify(read(control)) !== JSON.stringify(given(control));

/** What another preset says, except where somebody chose otherwise. */
function fill(all) {
  for (const control of controls) {
    if (!all && control.dataset.touched) continue;
    const value = given(control);
    control.value = Array.isArray(value) ? value.join(", ") : (value ?? "");
  }
  count();
}

function changed() {
  const body = { preset: preset() };
  for (const control of controls.filter(differs)) {
    const names = path(control);
    const last = names.pop();
    const place = names.reduce((part, name) => (part[name] ??= {}), body);
    place[last] = read(control);
  }
  // The server drops a preset's length where another is asked for; nulls beside it say nothing.
  for (const name of LENGTHS) if (body[name] === null) delete body[name];
  return body;
}

function count() {
  const many = controls.filter(differs);
  at("changes").textContent = many.length ? t("studio.new.changed", { names: many.map((one) => one.dataset.name).join(", ") }) : "";
  for (const control of controls) control.closest(".setting").classList.toggle("differs", differs(control));
  for (const group of form.querySelectorAll("details")) {
    const inside = group.querySelectorAll(".differs").length;
    group.querySelector(".changed").textContent = inside ? t("studio.new.inside", { n: inside }) : "";
  }
}

form.addEventListener("input", (event) => {
  if (event.target.name === "preset") return fill(false);
  event.target.dataset.touched = "yes";
  // One length at a time: asking for images ends a preset's minutes.
  if (LENGTHS.includes(event.target.dataset.name) && event.target.value) {
    for (const other of controls) {
      if (LENGTHS.includes(other.dataset.name) && other !== event.target) other.value = "";
    }
  }
  count();
});
// A field that is wrong may lie in a closed group.
form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
form.addEventListener("submit", (event) => event.preventDefault());
does(form.querySelector("[type=submit]"), async () => {
  if (!form.reportValidity()) return;
  const run = await call("POST", "/train", changed());
  location.href = `${root}/studio/runs/${run.id}`;
});
problem();
fill(true);
