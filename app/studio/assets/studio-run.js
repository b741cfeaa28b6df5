// One run, live. Every event has a number: whoever comes back asks for those above the last one,
// so nothing is missed, and what comes twice is dropped.

import { root, t } from "./chrome.js";
import { at, call, does, drawCurves } from "./studio.js";
import { images, show } from "./studio-sheets.js";

const place = at("run");
const run = place.dataset.run;
const MOVES = { "run.queued": "queued", "run.requeued": "queued", "run.started": "running", "run.succeeded": "succeeded", "run.failed": "failed", "run.cancelled": "cancelled" };
const OVER = ["succeeded", "failed", "cancelled"];
const QUIET = ["run.progress", "dataset.progress", "sheet.drawn", "snapshot.written", "run.measured", "enlarger.progress"];
const TYPES = [...Object.keys(MOVES), ...QUIET, "dataset.ready", "run.resumed", "run.warning", "run.rolled_back", "run.cancelling", "model.published", "enlarger.started", "enlarger.measured", "enlarger.skipped"];
const REDRAW = 5000; // ms between two drawings of the curves: each costs the server a tenth of a second

const drawn = [];
let last = 0;
let state = place.dataset.state;
let asked = 0;
const first = JSON.parse(at("first").textContent);
let fraction = first.progress?.fraction ?? 0; // of the training; the bar has its preparation's before

const whole = new Intl.NumberFormat(document.documentElement.lang);
const short = new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 3 });

function lasting(seconds) {
  if (seconds < 90) return t("studio.seconds", { n: Math.round(seconds) });
  if (seconds < 5400) return t("studio.minutes", { n: Math.round(seconds / 60) });
  return t("studio.hours", { n: short.format(seconds / 3600) });
}

const SHOWN = { images: (n) => whole.format(n), seconds_left: lasting };
function number(name, value) {
  const cell = document.querySelector(`[data-number=${name}]`);
  if (cell && value !== undefined) cell.textContent = (SHOWN[name] ?? ((n) => short.format(n)))(value);
}

function say(type, data) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.dateTime = data.at;
  time.textContent = new Date(data.at).toLocaleTimeString(document.documentElement.lang, { hour12: false });
  const own = data.message ?? data.error;
  const words = document.createElement("span");
  words.textContent = own ?? t(`studio.event.${type}`, { ...data, images: whole.format(data.images ?? 0), version: data.version?.slice(0, 12) });
  if (own) words.lang = "en";
  if (own) item.className = "warns";
  item.append(time, words);
  const log = at("log");
  const atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 24;
  log.append(item);
  if (data.skipped) skipped(words, data);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function skipped(words, data) {
  const some = data.skipped_first.slice(0, 3).map((one) => `${one.name} (${one.reason})`).join(", ");
  words.textContent += ` ${t("studio.event.skipped", { n: data.skipped, some })}`;
}

function prepare({ done, total }) {
  at("bar").value = done / total;
  at("phase").hidden = false;
  at("phase").textContent = t("studio.run.preparing", { done: whole.format(done), total: whole.format(total) });
}

function enlarge({ step, steps, seconds_left }) {
  at("bar").value = step / steps;
  at("phase").hidden = false;
  at("phase").textContent = t("studio.run.enlarging", { step: whole.format(step), steps: whole.format(steps), left: lasting(seconds_left) });
}

function prepared() {
  at("bar").value = fraction;
  at("phase").hidden = true;
}

/** A run may end before what it was given: when it learns no more, or by somebody's word. */
function over() {
  document.querySelector("[data-number=seconds_left]").textContent = "–";
  if (state === "succeeded") at("bar").value = fraction = 1;
}

function move(next, data) {
  state = place.dataset.state = next;
  if (OVER.includes(next)) over();
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.dataset.state = next;
  badge.textContent = t(`studio.state.${next}`);
  at("badge").replaceChildren(badge);
  at("error").hidden = !data.error;
  at("error").textContent = data.error ?? "";
  if (data.version) at("model").href = `${root}/studio/models/${data.version}`;
  at("model").hidden = !data.version;
  buttons();
}

function buttons() {
  if (!at("cancel")) return;
  at("cancel").hidden = OVER.includes(state);
  at("resume").hidden = !["failed", "cancelled"].includes(state);
}

const scrub = at("scrub");
function turn() {
  const name = drawn[scrub.value];
  if (!name) return;
  const words = t("studio.run.sheet.at", { images: whole.format(images(name)) });
  at("sheet-told").textContent = words;
  scrub.setAttribute("aria-valuetext", words);
  show(at("sheet"), run, name, t("studio.run.sheet.alt"));
}
scrub.addEventListener("input", turn);

function sheet(name) {
  // A run that went back to a snapshot draws some again.
  if (drawn.includes(name)) return;
  const following = scrub.disabled || Number(scrub.value) === drawn.length - 1;
  drawn.push(name);
  drawn.sort();
  scrub.max = drawn.length - 1;
  scrub.disabled = drawn.length < 2;
  if (following) scrub.value = drawn.length - 1;
  clearTimeout(sheet.timer); // a whole past comes in one go
  sheet.timer = setTimeout(turn, 50);
}

function curves() {
  if (asked) return;
  asked = setTimeout(() => {
    asked = 0;
    drawCurves();
  }, OVER.includes(state) ? 100 : REDRAW);
}

function hear(type, event) {
  const id = Number(event.lastEventId);
  if (id <= last) return;
  place.dataset.gaps = Number(place.dataset.gaps ?? 0) + (id - last - 1);
  place.dataset.last = last = id;
  const data = JSON.parse(event.data);
  if (type === "run.progress") {
    fraction = data.fraction;
    for (const [name, value] of Object.entries(data)) number(name, value);
    curves();
  }
  if (type === "run.measured") number("fd", data.fd), curves();
  if (type === "sheet.drawn") sheet(data.sheet);
  if (type === "dataset.progress") prepare(data);
  else if (type === "enlarger.progress") enlarge(data);
  else if (type !== "run.queued") prepared();
  if (!QUIET.includes(type)) say(type, data);
  if (type in MOVES) move(MOVES[type], data), curves();
}

let stream = null;
function listen() {
  stream = new EventSource(`${root}/train/${run}/events?after=${last}`);
  for (const type of TYPES) stream.addEventListener(type, (event) => hear(type, event));
  stream.onopen = () => (at("lost").hidden = true);
  stream.onerror = () => {
    // A run that is over ends its stream; a 503 of a proxy or of a server that starts is final
    // for an EventSource, so it is asked again from the last number.
    stream.close();
    at("lost").hidden = OVER.includes(state);
    if (!OVER.includes(state)) setTimeout(again, 1500);
  };
}

async function again() {
  try {
    await call("GET", `/train/${run}`);
    listen();
  } catch {
    setTimeout(again, 1500);
  }
}

does(at("cancel"), () => call("POST", `/train/${run}/cancel`));
does(at("resume"), async () => {
  await call("POST", `/train/${run}/resume`);
  stream.close();
  move("queued", {});
  listen();
});

for (const [name, value] of Object.entries(first.progress ?? {})) number(name, value);
buttons();
listen();
