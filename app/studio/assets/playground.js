// The playground: one state, kept in the page's address, from which everything on it is drawn.

import { byId, on, root, t, toast, write } from "./page.js";
import { Detail } from "./detail.js";
import { Models } from "./models.js";
import { Picture } from "./picture.js";
import { Recent } from "./recent.js";
import { caption, shortest } from "./snippets.js";
import { address, face, parse, server } from "./state.js";
import { accepts } from "./traits.js";
import { Wall } from "./wall.js";

const WRITE_DELAY = 150; // ms; browsers refuse addresses that change more often than some ten times a second
const SCROLL = "kao.scroll";
const models = new Models();
let state = parse(location.search);
// Of the model that draws: a full version, so that faces may be cached for ever. Null until it is
// known to have the traits that the address asks for; the server wrote the first face.
let version = isPlain() ? server.version : null;
let described = null; // the model's card and traits, once loaded
let opener = null;

const large = new Picture(byId("face"), { failed: report, shown: beginWall });
const detail = new Detail({ change, close: closeDetail, randomSeed, failed: report });
const recent = new Recent(byId("recent"), {
  picture: (seed) => face(state, seed, 64, version),
  label: (seed) => t("playground.face", { seed }),
  choose: (seed) => change({ seed }, true),
});
const wall = new Wall(byId("wall"), {
  url: (seed, size) => face(state, seed, size, version),
  link: (seed) => root + "/" + address({ ...state, seed, open: true, view: "face" }).replace(/^[^?]*/, ""),
  label: (seed) => t("playground.face", { seed }),
  open: (seed, link) => {
    opener = link;
    openDetail({ seed, view: "face" });
  },
});

/** Change the state and redraw. `push`: make a new entry of the history, which Back undoes. */
function change(changes, push = false) {
  const before = state;
  state = { ...state, ...changes };
  byId("problem").hidden = true; // it was about another state
  writeAddress(push);
  redraw(before);
}

let writing;
function writeAddress(push, entry = push ? null : history.state) {
  clearTimeout(writing);
  const write = () => history[push ? "pushState" : "replaceState"](entry, "", withLanguage(address(state)));
  if (push) write();
  else writing = setTimeout(write, WRITE_DELAY);
}

// A shared address keeps its language.
function withLanguage(path) {
  const language = new URLSearchParams(location.search).get("lang");
  return language ? `${path.includes("?") ? `${path}&` : "?"}lang=${language}` : path;
}

function redraw(before) {
  if (byId("seed").value !== state.seed) byId("seed").value = state.seed;
  const psi = state.psi ?? ownPsi();
  byId("psi").value = psi;
  write(byId("psi-value"), psi.toFixed(2));
  write(byId("embed"), shortest(state));
  document.title = state.seed.trim() ? `${caption({ ...state, view: "face" })} · Kao` : `Kao · ${t("playground.title")}`;
  if (!version) return;
  large.show(face(state, state.seed, server.faceSize, version), caption({ ...state, view: "face" }));
  byId("big").href = address({ ...state, open: true });
  recent.add(state.seed);
  detail.show(state, version, described);
  if (before?.open && !state.open) opener?.isConnected ? opener.focus({ preventScroll: true }) : byId("open").focus();
  if (before && before.wall !== state.wall) wall.from(state.wall);
  else if (before && looksDifferent(before)) refreshSoon();
}

/** Whether every model can draw the state; only some have traits or ages. */
function isPlain() {
  return !Object.keys(state.traits).length && state.age === null;
}

const ownPsi = () => described?.card.psi ?? 1;

const looksDifferent = (before) =>
  before.psi !== state.psi || before.model !== state.model || !equal(before.traits, state.traits);
const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The wall has a hundred pictures: it is redrawn when a slider rests.
let resting;
function refreshSoon() {
  clearTimeout(resting);
  resting = setTimeout(() => {
    wall.refresh();
    recent.refresh();
  }, 250);
}

function randomSeed() {
  return String(crypto.getRandomValues(new Uint32Array(1))[0] % 1e6);
}

/** Say that something failed; `detail`: the server's sentence, or null where it did not answer. */
function report(detail) {
  say(detail ? t("common.failed", { problem: detail }) : t("common.offline"));
}

function say(text) {
  byId("problem").hidden = false;
  byId("problem").textContent = text;
  if (document.querySelector("dialog[open]")) toast(text);
}

/** Use another model: at once, unless traits or an age are chosen, which it may not have. */
async function useModel(name) {
  const next = models.version(name);
  showModelName(next.slice(0, 12));
  described = null;
  if (isPlain()) version = next;
  useModel.last = next;
  try {
    const card = await models.card(next);
    if (useModel.last !== next) return;
    if (version !== next) refreshSoon();
    version = next;
    described = card;
    showModelName(`${card.name || card.card.dataset.name} · ${next.slice(0, 8)}`);
    keepWhatTheModelHas();
  } catch (error) {
    report(error.message);
  }
}

/** Drop traits, values and an age that the model does not know, and say which. */
function keepWhatTheModelHas() {
  const entries = Object.entries(state.traits);
  const known = entries.filter(([name, value]) => accepts(described.traits[name], value));
  const age = described.card.moments?.length ? state.age : null;
  if (known.length === entries.length && age === state.age) return redraw(state);
  const dropped = entries.filter((entry) => !known.includes(entry)).map(([name, value]) => `${name}=${value}`);
  change({ traits: Object.fromEntries(known), age });
  if (dropped.length) toast(t("playground.dropped", { names: dropped.join(", ") }));
}

function showModelName(name) {
  byId("model-name").textContent = t("playground.model.named", { name });
}

on("ask", "submit", (event) => event.preventDefault());
on("seed", "input", (event) => change({ seed: event.target.value }));
// A click into the field selects the text, as it does in an address bar, so that typing replaces it.
on("seed", "pointerdown", ({ target }) => {
  if (document.activeElement !== target) target.addEventListener("click", () => target.select(), { once: true });
});

function roll() {
  spin(byId("dice"));
  change({ seed: randomSeed() }, true);
}
on("dice", "click", roll);
addEventListener("keydown", (event) => {
  const idle = event.target === document.body || event.target === byId("main");
  if (event.key !== " " || !idle || event.repeat || scrollY > 200 || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  roll();
});
on("shuffle", "click", () => {
  spin(byId("shuffle"));
  change({ wall: Number(randomSeed()) * 1000 });
});
on("psi", "input", (event) => change({ psi: Number(event.target.value) }));

function spin(button) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  button.querySelector(".die").animate([{ rotate: "0deg" }, { rotate: "360deg" }], { duration: 520, easing: "cubic-bezier(.2,.8,.2,1)" });
}

for (const name of ["open", "big"]) {
  on(name, "click", (event) => {
    event.preventDefault();
    opener = byId(name);
    openDetail({});
  });
}

function openDetail(changes) {
  change({ ...changes, open: true }, true);
  history.replaceState({ opened: true }, ""); // closing goes back to the entry before
}

let closing = null;
/** Close the dialog; where this page opened it, Back then leads to what was before it. */
function closeDetail() {
  clearTimeout(writing);
  if (!history.state?.opened) return change({ open: false });
  closing = { ...state, open: false };
  history.back();
}

on("models-open", "click", () => {
  byId("models").showModal();
  for (const card of byId("cards").querySelectorAll("button")) card.ariaCurrent = card.dataset.version === version || null;
  byId("models-title").focus();
});
on("cards", "click", (event) => {
  const chosen = event.target.closest("button")?.dataset.version;
  if (!chosen) return;
  byId("models").close();
  useModel(chosen);
  change({ model: chosen === models.version("") ? "" : chosen, at: null });
});
on("models-close", "click", () => byId("models").close());
on("models", "click", (event) => event.target === byId("models") && byId("models").close());

addEventListener("popstate", () => {
  const before = state;
  clearTimeout(writing);
  state = closing ?? parse(location.search);
  if (closing) writeAddress(false); // what was changed while the dialog was open stays
  closing = null;
  if (before.model !== state.model) useModel(state.model);
  redraw(before);
});

// A reload keeps the place on the wall, which grows as one scrolls.
history.scrollRestoration = "manual";
addEventListener("pagehide", () => sessionStorage.setItem(SCROLL, JSON.stringify([location.href, scrollY])));
function lastScroll() {
  const [href, y] = JSON.parse(sessionStorage.getItem(SCROLL) ?? "[]");
  const [{ type }] = performance.getEntriesByType("navigation");
  return href === location.href && ["reload", "back_forward"].includes(type) ? y : 0;
}

/** Draw the wall once the large face has come: where that fails, a hundred others would fail too. */
function beginWall() {
  if (!wall.begun) wall.begin(state.wall, lastScroll());
}

if (server.unknownModel) state.model = "";
redraw();
if (server.version) useModel(state.model);
else report(t("playground.none"));
if (server.unknownModel) say(t("playground.model.unknown", { name: server.unknownModel }));
