// The form of a new run: a preset's recipe, and what was changed of it; only that is sent.

import { byId, create, root, t } from "./page.js";
import { call, onClick, showProblem } from "./studio.js";

const recipes = JSON.parse(byId("recipes").textContent);
const start = JSON.parse(byId("start").textContent); // of an earlier run, or a dataset's page
const form = byId("new");
const controls = [...form.querySelectorAll("[data-name]")];
const LENGTHS = ["minutes", "images", "epochs"];

const path = (control) => control.dataset.name.split(".");
const preset = () => form.elements.preset.value;
const valueIn = (recipe, control) => path(control).reduce((part, name) => part?.[name], recipe) ?? null;
const presetValue = (control) => valueIn(recipes[preset()], control);

function read(control) {
  const text = control.value.trim();
  if (control.dataset.kind === "list") return text ? text.split(",").map((word) => word.trim()) : [];
  if (control.dataset.kind === "flag") return text === "true";
  if (!text) return null;
  return ["number", "integer"].includes(control.dataset.kind) ? Number(text) : text;
}

const isChanged = (control) => JSON.stringify(read(control)) !== JSON.stringify(presetValue(control));

function write(control, value) {
  control.value = Array.isArray(value) ? value.join(", ") : (value ?? "");
}

/** Fill in the preset's values; `all`: also where a value was changed by hand. */
function fill(all) {
  for (const control of controls) {
    if (all || !(control.dataset.touched || control.type === "hidden")) write(control, presetValue(control));
  }
  showChanges();
}

/** Fill in what the address names: a run's recipe, or a dataset and its labels. */
function fillStart() {
  const { recipe, dataset, labels } = start;
  const values = dataset ? { dataset, labels } : recipe;
  for (const control of controls.filter((one) => path(one)[0] in values)) {
    write(control, valueIn(values, control));
    if (isChanged(control)) control.dataset.touched = "yes";
  }
  showChanges();
}

async function offerLabels() {
  const dataset = control("dataset").value;
  const set = await call("GET", `/datasets/${dataset}`).catch((error) => showProblem(error.message));
  const labels = set ? [...set.labels, ...set.numbers] : [];
  if (dataset !== control("dataset").value) return;
  const wanted = read(control("labels"));
  byId("ticks").replaceChildren(...labels.map(({ name }) => {
    const box = create("input", { type: "checkbox", value: name, checked: wanted.includes(name) });
    return create("label", { className: "pick" }, box, name);
  }));
  if (!labels.length) byId("ticks").textContent = t("studio.none");
  takeLabels();
}

function takeLabels() {
  write(control("labels"), [...byId("ticks").querySelectorAll(":checked")].map((box) => box.value));
  showChanges();
}

function changes() {
  const body = { preset: preset() };
  for (const control of controls.filter(isChanged)) {
    const names = path(control);
    const last = names.pop();
    const place = names.reduce((part, name) => (part[name] ??= {}), body);
    place[last] = read(control);
  }
  // The server drops a preset's length where another is given; nulls beside it say nothing.
  for (const name of LENGTHS) if (body[name] === null) delete body[name];
  return body;
}

/** Until one is chosen by hand, the pictures choose the preset. */
function fitPreset({ preset, note }) {
  const place = byId("fit");
  // Such a run keeps its base's preset.
  if (!place || control("start_from").value) return;
  place.textContent = note;
  form.elements.preset.value = preset;
  fill(false);
}

const control = (name) => controls.find((one) => one.dataset.name === name);
const hasLength = () => LENGTHS.some((name) => control(name).value.trim());

function showChanges() {
  const changed = controls.filter(isChanged);
  byId("changes").textContent = changed.length ? t("studio.new.changed", { names: changed.map((one) => one.dataset.name).join(", ") }) : "";
  for (const one of controls) one.closest(".setting").classList.toggle("differs", isChanged(one));
  for (const group of form.querySelectorAll("details.card")) {
    const inside = group.querySelectorAll(".differs").length;
    group.querySelector(".changed").textContent = inside ? t("studio.new.inside", { n: inside }) : "";
  }
  for (const name of LENGTHS) control(name).setCustomValidity(hasLength() ? "" : t("studio.new.no_length"));
  const length = LENGTHS.filter((name) => control(name).value.trim()).map((name) => t(`studio.new.length.${name}`, { n: control(name).value }));
  byId("start-run").textContent = [t("studio.new.go"), preset(), ...length, control("dataset").value].join(" · ");
}

form.addEventListener("input", (event) => {
  if (event.target.name === "preset") {
    byId("fit")?.remove();
    return fill(false);
  }
  if (event.target.closest("#ticks")) return takeLabels();
  event.target.dataset.touched = "yes";
  if (event.target === control("dataset")) {
    offerLabels();
    fitPreset(event.target.selectedOptions[0].dataset);
  }
  // One length at a time: images end a preset's minutes.
  if (LENGTHS.includes(event.target.dataset.name) && event.target.value) {
    for (const other of LENGTHS.map(control)) {
      other.dataset.touched = "yes";
      if (other !== event.target) other.value = "";
    }
  }
  showFieldError(event.target, "");
  showChanges();
});

/** Show an error at its field, focused. */
function showFieldError(field, text) {
  const setting = field.closest(".setting");
  setting?.querySelector(".field-error")?.remove();
  field.ariaInvalid = Boolean(text) || null;
  if (!text) return;
  setting.append(create("p", { className: "error field-error", role: "alert" }, text));
  field.closest("details")?.setAttribute("open", "");
  field.focus();
}

// An invalid field may lie in a closed group.
form.addEventListener("invalid", (event) => event.target.closest("details")?.setAttribute("open", ""), true);
onClick(byId("start-run"), async () => {
  if (!form.reportValidity()) return;
  try {
    const about = new URLSearchParams({ name: byId("run-name").value, note: byId("run-note").value });
    const run = await call("POST", `/train?${about}`, changes());
    location.href = `${root}/studio/runs/${run.id}`;
  } catch (error) {
    let shown = false;
    for (const { field, problem } of (error.problem?.problems ?? []).reverse()) {
      // A rule about several fields names the first of them.
      const named = control(field) ?? controls.find((one) => problem.includes(`\`${one.dataset.name}\``));
      if (named) showFieldError(named, problem);
      shown ||= named;
    }
    if (!shown) throw error;
  }
});
showProblem();
fill(true);
fillStart();
offerLabels();
