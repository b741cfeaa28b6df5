// What the playground shows, all of it in the address, and the pictures' addresses that follow.

import { root } from "./chrome.js";

export const VIEWS = ["face", "morph", "mix", "family"];
export const SHAPES = ["square", "rounded", "circle"];
const STILL = ["webp", "png", "jpeg", "avif", "svg"];
const SHEET = ["webp", "png", "jpeg", "avif"];
const LOOP = ["webp", "apng", "gif"];
const TRAIT = "trait.";
const LARGEST_LOOP = 512;
const LARGEST = 1024;
export const CHILDREN = 6;
export const COLUMNS = 3;
export const SIZES = [64, 128, 256, 512, 1024];

const DEFAULTS = {
  seed: "Kao",
  model: "",
  psi: 0.7,
  open: false,
  view: "face",
  with: "Emi",
  t: 0.5,
  loop: false,
  at: null,
  child: null,
  age: null,
  size: 256,
  format: "webp",
  shape: "square",
  pin: false,
  wall: 0,
};
// How each is read; what an address has that is none of these is left aside.
const clamp = (low, high) => (text) => {
  const number = Number.parseFloat(text);
  return Number.isFinite(number) ? Math.min(high, Math.max(low, number)) : undefined;
};
const whole = (low, high) => (text) => {
  const number = clamp(low, high)(text);
  return number === undefined ? undefined : Math.round(number);
};
const among = (values) => (text) => (values.includes(text) ? text : undefined);
const yes = (text) => text === "1";
const READ = {
  seed: (text) => text,
  model: (text) => (/^[\w-]{1,64}$/.test(text) ? text : undefined),
  psi: clamp(0, 1.5),
  open: yes,
  view: among(VIEWS),
  with: (text) => text,
  t: clamp(0, 1),
  loop: yes,
  at: whole(0, 64),
  child: whole(0, CHILDREN - 1),
  age: clamp(0, 1),
  size: whole(16, LARGEST),
  format: among([...new Set([...STILL, ...LOOP])]),
  shape: among(SHAPES),
  pin: yes,
  wall: whole(0, 1e12),
};

/** The state of an address's query. */
export function read(query) {
  const words = new URLSearchParams(query);
  const state = { ...DEFAULTS, traits: {} };
  for (const [name, text] of words) {
    if (name.startsWith(TRAIT)) state.traits[name.slice(TRAIT.length)] = text;
    else if (name in READ) state[name] = READ[name](text) ?? DEFAULTS[name];
  }
  return state;
}

/** The address of a state: what is as at first is left out. */
export function address(state) {
  const words = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = state[name];
    if (value !== usual && value !== null) words.set(name, value === true ? "1" : String(value));
  }
  for (const [name, value] of Object.entries(state.traits)) words.set(TRAIT + name, value);
  const query = encoded(words);
  return query ? `?${query}` : location.pathname;
}

/** A picture's path and query, without what is not given. */
function picture(path, words) {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(words)) {
    if (value !== null && value !== undefined) given.set(name, value);
  }
  return `${root}${path}?${encoded(given)}`;
}

// The same in a query, and a reader can tell it from a plus.
function encoded(words) {
  return words.toString().replaceAll("+", "%20");
}

/** What all pictures of a state have in common. `version`: a model's name, or nothing. */
function look(state, version) {
  return { psi: state.psi === 1 ? null : state.psi, ...state.traits, model: version };
}

/** A face of the wall or of a thumbnail. */
export function face(state, seed, size, version) {
  return picture("/avatar", { seed, size, format: "webp", ...look(state, version) });
}

/** A frame of the way to the second face. */
export function frame(state, t, size, version) {
  const { seed: from, with: to } = state;
  return picture("/morph", { from, to, t, size, format: "webp", ...look(state, version) });
}

/** One child of the two. */
export function child(state, number, size, version) {
  const words = { parents: parents(state), child: number, size, format: "webp" };
  return picture("/family", { ...words, ...look(state, version) });
}

/** Some faces of a model, for its card. */
export function sample(version) {
  return picture("/sheet", { count: 12, columns: 6, size: 64, psi: 0.7, format: "webp", model: version });
}

/** The picture that the state asks for; `changed` may ask for another size or format. */
export function asked(state, version, changed = {}) {
  const now = { ...state, ...changed };
  const { size, seed } = now;
  const shape = now.shape === "square" ? null : now.shape;
  const format = formats(now).includes(now.format) ? now.format : "webp";
  const end = { size: side(now), dpr: changed.dpr, shape, format, ...look(now, version) };
  if (now.view === "morph") {
    const way = now.loop ? {} : { t: now.t };
    return picture("/morph", { from: seed, to: now.with, ...way, ...end });
  }
  if (now.view === "mix") return picture("/mix", { coarse: seed, fine: now.with, at: now.at, ...end });
  if (now.view === "family") {
    const which = now.child === null ? { children: CHILDREN, columns: COLUMNS } : { child: now.child };
    return picture("/family", { parents: parents(now), ...which, ...end, size });
  }
  if (now.age === null) return picture("/avatar", { seed, ...end });
  // The sliders belong to the face of now.
  const words = Object.entries(end).filter(([name]) => !isSlider(name, now.traits));
  return picture("/avatar", { seed, age: now.age, ...Object.fromEntries(words) });
}

/** Sliders have numbers, other traits words. */
function isSlider(name, traits) {
  return name in traits && /^-?[0-9.]+$/.test(traits[name]);
}

/** The formats that the shown picture can be. */
export function formats(state) {
  if (state.view === "morph" && state.loop) return LOOP;
  return isSheet(state) ? SHEET : STILL;
}

/** The format that a state really gets. */
export function format(state) {
  return formats(state).includes(state.format) ? state.format : "webp";
}

export function isSheet(state) {
  return state.view === "family" && state.child === null;
}

/** Pixels along one face: a loop has fewer. */
export function side(state) {
  return state.view === "morph" && state.loop ? Math.min(state.size, LARGEST_LOOP) : state.size;
}

/** Width and height of the picture. */
export function extent(state) {
  const pixels = side(state);
  return isSheet(state) ? [pixels * COLUMNS, pixels * (CHILDREN / COLUMNS)] : [pixels, pixels];
}

/** Whether there is one with twice as many pixels. */
export function canDouble(state) {
  const most = state.view === "morph" && state.loop ? LARGEST_LOOP : LARGEST;
  return format(state) !== "svg" && !isSheet(state) && side(state) * 2 <= most;
}

// Within the list each seed is encoded once more (docs/api.md).
function parents(state) {
  return `${encodeURIComponent(state.seed)},${encodeURIComponent(state.with)}`;
}
