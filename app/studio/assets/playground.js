// The playground: one state, kept in the address, that everything on the page follows.

import { root, t, toast } from "./chrome.js";
import { Detail } from "./detail.js";
import { Models } from "./models.js";
import { Picture } from "./picture.js";
import { caption } from "./snippets.js";
import { address, face, read } from "./state.js";
import { Wall } from "./wall.js";

const id = (name) => document.getElementById(name);
const BIG = 512; // pixels of the large face
const WRITE = 150; // ms; browsers refuse an address that changes more often than some ten times a second
const models = new Models();
let state = read(location.search);
let version; // the model that draws, by its full version, so that pictures may be cached for ever
let described;
let opener = null;

const big = new Picture(id("face"), { failed: tell });
const detail = new Detail({ change, randomly, failed: tell });
const wall = new Wall(id("wall"), {
  url: (seed, size) => face(state, seed, size, version),
  link: (seed) => root + "/" + address({ ...state, seed, open: true, view: "face" }).replace(/^[^?]*/, ""),
  label: (seed) => t("playground.face", { seed }),
  open: (seed, link) => {
    opener = link;
    change({ seed, open: true, view: "face" }, true);
  },
});

/** Change the state and all that shows it; `push`: so that the back button undoes it. */
function change(changes, push = false) {
  const before = state;
  state = { ...state, ...changes };
  if (version) id("problem").hidden = true; // what is asked for now may work
  write(push);
  show(before);
}

let writing;
function write(push) {
  clearTimeout(writing);
  const now = () => history[push ? "pushState" : "replaceState"](null, "", withLanguage(address(state)));
  if (push) now();
  else writing = setTimeout(now, WRITE);
}

// A shared address keeps the language that it was given.
function withLanguage(path) {
  const language = new URLSearchParams(location.search).get("lang");
  return language ? `${path.includes("?") ? `${path}&` : "?"}lang=${language}` : path;
}

function show(before) {
  if (id("seed").value !== state.seed) id("seed").value = state.seed;
  id("psi").value = state.psi;
  id("psi-told").textContent = state.psi.toFixed(2);
  if (!version) return;
  big.show(face(state, state.seed, BIG, version), caption({ ...state, view: "face" }));
  id("big").href = address({ ...state, open: true });
  detail.show(state, version, described);
  if (before?.open && !state.open) opener?.isConnected ? opener.focus({ preventScroll: true }) : id("open").focus();
  if (before && before.wall !== state.wall) wall.from(state.wall);
  else if (before && drawnOtherwise(before)) later();
}

const drawnOtherwise = (before) =>
  before.psi !== state.psi || before.model !== state.model || !same(before.traits, state.traits);
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// The wall is a hundred pictures: it waits until the hand rests.
let resting;
function later() {
  clearTimeout(resting);
  resting = setTimeout(() => wall.refresh(), 250);
}

function randomly() {
  return String(crypto.getRandomValues(new Uint32Array(1))[0] % 1e6);
}

function tell(problem) {
  id("problem").hidden = false;
  id("problem").textContent = problem ? t("common.failed", { problem }) : t("common.offline");
  if (document.querySelector("dialog[open]")) toast(id("problem").textContent);
}

/** Draw with another model, at once unless traits or an age are asked for: it may refuse them. */
async function choose(name) {
  const chosen = models.version(name);
  named(chosen.slice(0, 12));
  described = null;
  if (!Object.keys(state.traits).length && state.age === null) version = chosen;
  choose.last = chosen;
  try {
    const found = await models.card(chosen);
    if (choose.last !== chosen) return;
    if (version !== chosen) later();
    version = chosen;
    described = found;
    named(`${found.card.dataset.name} · ${chosen.slice(0, 8)}`);
    const known = Object.entries(state.traits).filter(([trait]) => trait in found.traits);
    const age = found.card.moments?.length ? state.age : null;
    const kept = known.length === Object.keys(state.traits).length && age === state.age;
    if (kept) show(state);
    else change({ traits: Object.fromEntries(known), age });
  } catch (error) {
    tell(error.message);
  }
}

function named(name) {
  id("model-name").textContent = t("playground.model.named", { name });
}

id("ask").addEventListener("submit", (event) => event.preventDefault());
id("seed").addEventListener("input", (event) => change({ seed: event.target.value }));
id("dice").addEventListener("click", () => {
  roll(id("dice"));
  change({ seed: randomly() });
});
id("shuffle").addEventListener("click", () => {
  roll(id("shuffle"));
  change({ wall: Number(randomly()) * 1000 });
});
id("psi").addEventListener("input", (event) => change({ psi: Number(event.target.value) }));
for (const name of ["open", "big"]) {
  id(name).addEventListener("click", (event) => {
    event.preventDefault();
    opener = id(name);
    change({ open: true }, true);
  });
}

function roll(button) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  button.querySelector(".die").animate([{ rotate: "0deg" }, { rotate: "360deg" }], { duration: 520, easing: "cubic-bezier(.2,.8,.2,1)" });
}

id("models-open").addEventListener("click", () => {
  id("models").showModal();
  id("models-title").focus();
  models
    .list(id("cards"), version, (chosen) => {
      id("models").close();
      choose(chosen);
      change({ model: chosen === models.version("") ? "" : chosen, at: null });
    })
    .catch((error) => tell(error.message));
});
id("models-close").addEventListener("click", () => id("models").close());
id("models").addEventListener("click", (event) => event.target === id("models") && id("models").close());

addEventListener("popstate", () => {
  const before = state;
  clearTimeout(writing);
  state = read(location.search);
  if (before.model !== state.model) choose(state.model);
  show(before);
});

try {
  await models.load();
  if (!models.all.length) throw new Error(t("playground.none"));
  const chosen = choose(state.model);
  if (!version) await chosen;
  show();
  wall.begin(state.wall);
} catch (error) {
  show();
  tell(error.message);
}
