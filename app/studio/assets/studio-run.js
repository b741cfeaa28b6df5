// The page of one run, live. Every event has a number: after a lost connection the page asks for
// those above the last one, so nothing is missed, and what comes twice is dropped.

import { byId, create, on, root, save, t, toast } from "./page.js";
import { Charts, short, whole } from "./chart.js";
import { downloadZip } from "./client-zip.js";
import { call, duration, onClick, showProblem } from "./studio.js";
import { images, show } from "./studio-sheets.js";

const place = byId("run");
const run = place.dataset.run;
const STATES = { "run.queued": "queued", "run.requeued": "queued", "run.started": "running", "run.succeeded": "succeeded", "run.failed": "failed", "run.cancelled": "cancelled" };
const FINAL = ["succeeded", "failed", "cancelled"];
const STAGES = ["matching", "enlarger", "distillation"]; // after the adversarial training
const UNLOGGED = ["run.progress", "dataset.progress", "sheet.drawn", "snapshot.written", "run.measured", ...STAGES.map((stage) => `${stage}.progress`)];
const TYPES = [...Object.keys(STATES), ...UNLOGGED, "dataset.ready", "run.resumed", "run.warning", "run.rolled_back", "run.cancelling", "model.published", ...STAGES.flatMap((stage) => ["started", "skipped", "measured"].map((event) => `${stage}.${event}`))];
const PHASES = ["waiting", "preparing", "training", "measuring", "enlarging", "publishing"];
const REDRAW = 5000; // ms between two drawings of the curves
const FRAME = 400; // ms of each sheet when the time-lapse plays

const first = JSON.parse(byId("first").textContent);
const sheets = [];
let last = 0; // the number of the newest event
let state = place.dataset.state;
let phase = "waiting";
let fraction = first.progress?.fraction ?? 0; // of the training
let started = first.started ? Date.parse(first.started) : null;
let finished = first.finished ? Date.parse(first.finished) : null;

const language = document.documentElement.lang;

const FORMATS = { images: (n) => whole.format(n), seconds_left: duration };
function showNumber(name, value) {
  const cell = document.querySelector(`[data-number=${name}]`);
  if (name === "seconds_left" && FINAL.includes(state)) return;
  if (cell && value !== undefined) cell.textContent = (FORMATS[name] ?? ((n) => short.format(n)))(value);
}

function showElapsed() {
  if (started) byId("elapsed").textContent = duration(((finished ?? Date.now()) - started) / 1000);
}
setInterval(showElapsed, 1000);

/** Show which phase the run is in; `share` (0 to 1) of it is done, `left` in seconds remain. */
function showPhase(name, share = null, left = null) {
  phase = name;
  const isLive = !FINAL.includes(state);
  byId("phases").hidden = !isLive;
  for (const item of byId("phases").children) {
    const isCurrent = isLive && item.dataset.phase === name;
    item.toggleAttribute("data-done", PHASES.indexOf(item.dataset.phase) < PHASES.indexOf(name));
    if (isCurrent) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
  if (share === null) byId("bar").removeAttribute("value");
  else byId("bar").value = share;
  const percent = share !== null && isLive && `${Math.floor(100 * share)} %`;
  const time = left > 0 && t("studio.phase.left", { time: duration(left) });
  byId("phase").textContent = [t(`studio.phase.${name}`), percent, time].filter(Boolean).join(" · ");
  byId("phase").hidden = !isLive;
  document.title = `${percent || t(`studio.state.${state}`)} · ${place.dataset.name} · Kao`;
}

let preparation = null; // {done, at} of the first progress of this preparation
function showPreparation({ done, total, at }) {
  if (!preparation || done < preparation.done) preparation = { done, at: Date.parse(at) };
  const rate = (done - preparation.done) / (Date.parse(at) - preparation.at); // pictures per ms
  showPhase(phase === "measuring" ? phase : "preparing", done / total, rate > 0 ? (total - done) / rate / 1000 : null);
  byId("phase").textContent += ` · ${t("studio.run.preparing", { done: whole.format(done), total: whole.format(total) })}`;
}

const PHASE_OF = {
  "run.queued": () => showPhase("waiting"),
  "run.requeued": () => showPhase("waiting"),
  "run.started": () => showPhase("preparing"),
  "dataset.progress": showPreparation,
  "dataset.ready": () => showPhase(phase === "measuring" ? "enlarging" : "training", phase === "measuring" ? null : fraction),
  "run.progress": (data) => (data.fraction < 1 ? showPhase("training", data.fraction, data.seconds_left) : showPhase("measuring")),
};
for (const stage of STAGES) {
  const name = stage === "matching" ? "training" : "enlarging";
  PHASE_OF[`${stage}.started`] = () => showPhase(name, 0);
  PHASE_OF[`${stage}.progress`] = ({ step, steps, seconds_left }) => showPhase(name, step / steps, seconds_left);
  PHASE_OF[`${stage}.measured`] = PHASE_OF[`${stage}.skipped`] = () => showPhase("publishing");
}

function log(type, data) {
  const time = create("time", { dateTime: data.at }, new Date(data.at).toLocaleTimeString(language, { hour12: false }));
  const message = data.message ?? data.error;
  const words = create("span");
  if (message) say(words, message);
  else words.textContent = t(`studio.event.${type}`, { ...data, images: whole.format(data.images ?? 0), version: data.version?.slice(0, 12) });
  if (data.skipped) skippedPictures(data).then((text) => words.append(` ${text}`));
  const list = byId("log");
  const isAtEnd = list.scrollTop + list.clientHeight > list.scrollHeight - 24;
  list.append(create("li", { className: message ? "warns" : "" }, time, words));
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

/** Show a sentence of the server in the page's language, or as English. */
async function say(place, text) {
  Object.assign(place, { textContent: text, lang: "en" });
  const translation = await inLanguage(text);
  if (translation) Object.assign(place, { textContent: translation, lang: language });
}

async function inLanguage(text) {
  if (language === "en") return text;
  const answer = await fetch(`${root}/studio/sentence?text=${encodeURIComponent(text)}`);
  return answer.status === 200 && answer.text();
}

async function skippedPictures(data) {
  const some = data.skipped_first.slice(0, 3).map(async ({ name, reason }) => `${name} (${(await inLanguage(reason)) || reason})`);
  return t("studio.event.skipped", { n: data.skipped, some: (await Promise.all(some)).join(", ") });
}

function setState(next, data) {
  const wasLive = !FINAL.includes(state);
  state = place.dataset.state = next;
  showBadge(next, t(`studio.state.${next}`));
  byId("error").hidden = !data.error;
  if (data.error) say(byId("error"), data.error);
  if (data.version) byId("model").href = `${root}/studio/models/${data.version}`;
  byId("model").hidden = !data.version;
  showButtons();
  if (next === "running" && data.at) started ??= Date.parse(data.at);
  finished = FINAL.includes(next) && data.at ? Date.parse(data.at) : null;
  const isOver = FINAL.includes(next);
  if (!sheets.length) {
    byId("no-sheet")?.replaceChildren(t(`studio.run.no_sheet${isOver ? ".ever" : ""}`));
    byId("sheet-caption").hidden = scrub.hidden = isOver;
  }
  if (!isOver) return;
  document.querySelector("[data-number=seconds_left]").textContent = "–";
  // A run may end before its length: it learns no more, or was cancelled.
  showPhase(phase, next === "succeeded" ? 1 : fraction);
  showElapsed();
  if (wasLive) notify(next);
}

function showBadge(name, words) {
  const badge = create("span", { className: "badge" }, words);
  badge.dataset.state = name;
  byId("badge").replaceChildren(badge);
}

function showButtons() {
  const focused = document.activeElement;
  byId("notify").hidden = FINAL.includes(state) || !("Notification" in window) || Notification.permission !== "default";
  if (!byId("cancel")) return;
  byId("cancel").hidden = FINAL.includes(state);
  byId("resume").hidden = !["failed", "cancelled"].includes(state);
  if (focused.hidden) byId("badge").focus(); // what was pressed is gone
}

function notify(next) {
  if (!("Notification" in window) || Notification.permission !== "granted" || !document.hidden) return;
  new Notification(t("studio.run.over", { name: place.dataset.name, state: t(`studio.state.${next}`) }));
}

onClick(byId("notify"), async () => {
  if ((await Notification.requestPermission()) === "granted") toast(t("studio.run.notify.on"));
  showButtons();
});

const scrub = byId("scrub");
function showSheet() {
  const name = sheets[scrub.value];
  if (!name) return;
  const words = t("studio.run.sheet.at", { images: whole.format(images(name)) });
  byId("sheet-caption").textContent = words;
  scrub.setAttribute("aria-valuetext", words);
  show(byId("sheet"), run, name, t("studio.run.sheet.alt"));
}
scrub.addEventListener("input", () => {
  stop();
  showSheet();
});

function addSheet(name) {
  if (sheets.includes(name)) return; // a run that went back to a snapshot draws some again
  const isFollowing = scrub.disabled || Number(scrub.value) === sheets.length - 1;
  sheets.push(name);
  sheets.sort();
  scrub.max = sheets.length - 1;
  scrub.disabled = sheets.length < 2;
  byId("play").hidden = byId("time-lapse").hidden = sheets.length < 2;
  if (isFollowing) scrub.value = sheets.length - 1;
  clearTimeout(addSheet.timer); // the events of the past come all at once
  addSheet.timer = setTimeout(showSheet, 50);
}

let playing = null;
function stop() {
  clearInterval(playing);
  playing = null;
  byId("play").setAttribute("aria-pressed", "false");
}

on("play", "click", () => {
  if (playing) return stop();
  if (Number(scrub.value) === sheets.length - 1) scrub.value = 0;
  byId("play").setAttribute("aria-pressed", "true");
  playing = setInterval(() => {
    scrub.value = Number(scrub.value) + 1;
    showSheet();
    if (Number(scrub.value) === sheets.length - 1) stop();
  }, FRAME);
});

onClick(byId("time-lapse"), async () => {
  const files = await Promise.all(
    sheets.map(async (name) => ({ name, input: await fetch(`${root}/train/${run}/sheets/${name}`) })),
  );
  save(await downloadZip(files).blob(), `${place.dataset.name}-${run.slice(0, 6)}-sheets.zip`);
});

const charts = new Charts();
let redrawing = 0;
let drawnBefore = false;
function redrawCurves() {
  if (redrawing && !FINAL.includes(state)) return;
  clearTimeout(redrawing);
  redrawing = setTimeout(() => {
    redrawing = 0;
    drawnBefore = true;
    charts.load([run]).catch(() => {}); // the server is away; the next event brings them
  }, FINAL.includes(state) || !drawnBefore ? 100 : REDRAW);
}

function receive(type, event) {
  const number = Number(event.lastEventId);
  if (number <= last) return;
  place.dataset.gaps = Number(place.dataset.gaps ?? 0) + (number - last - 1);
  place.dataset.last = last = number;
  const data = JSON.parse(event.data);
  // The page has the state of its first moment; those before it would only make it jump.
  const isNew = number > first.last;
  if (type in STATES && isNew) setState(STATES[type], data);
  if (type === "run.progress") {
    fraction = data.fraction;
    for (const [name, value] of Object.entries(data)) showNumber(name, value);
  }
  if (type === "run.measured") showNumber("fd", data.fd);
  if (type === "run.cancelling" && isNew) showBadge("running", t("studio.state.cancelling"));
  if (type === "sheet.drawn") addSheet(data.sheet);
  if (!FINAL.includes(state)) PHASE_OF[type]?.(data);
  if (!UNLOGGED.includes(type)) log(type, data);
  if (["run.progress", "run.measured"].includes(type) || type in STATES) redrawCurves();
}

let stream = null;
function listen() {
  stream = new EventSource(`${root}/train/${run}/events?after=${last}`);
  for (const type of TYPES) stream.addEventListener(type, (event) => receive(type, event));
  stream.onopen = () => {
    byId("lost").hidden = true;
    if (listen.wasLost) showProblem(); // it said that the server does not answer
    listen.wasLost = false;
    pause = 1500;
  };
  stream.onerror = () => {
    // A finished run ends its stream. An EventSource does not try again after a 503 of a proxy or of
    // a server that starts, so this page does.
    stream.close();
    listen.wasLost = !FINAL.includes(state);
    byId("lost").hidden = !listen.wasLost;
    if (listen.wasLost) retry();
  };
}

let pause = 1500; // ms; longer each time, as too many streams may be open (429)
function retry() {
  setTimeout(reconnect, pause);
  pause = Math.min(2 * pause, 12000);
}

async function reconnect() {
  try {
    await call("GET", `/train/${run}`);
    listen();
  } catch {
    retry();
  }
}

onClick(byId("cancel"), async () => {
  showBadge("running", t("studio.state.cancelling"));
  try {
    await call("POST", `/train/${run}/cancel`);
  } catch (error) {
    showBadge(state, t(`studio.state.${state}`));
    throw error;
  }
});
onClick(byId("resume"), async () => {
  await call("POST", `/train/${run}/resume`);
  stream.close();
  setState("queued", {});
  listen();
});

for (const [name, value] of Object.entries(first.progress ?? {})) showNumber(name, value);
showButtons();
showElapsed();
showPhase(state === "queued" ? "waiting" : "training", FINAL.includes(state) ? (state === "succeeded" ? 1 : fraction) : first.progress ? fraction : null);
if (first.cancelling) showBadge("running", t("studio.state.cancelling"));
redrawCurves();
listen();
