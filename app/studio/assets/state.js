// The playground's state, all of it in the page's address, and the addresses of its pictures.

import { byId, root } from "./page.js";

/** What the server says of itself: limits, formats, models (app/studio/playground.py). */
export const server = JSON.parse(byId("settings").textContent);

export const VIEWS = ["face", "morph", "mix", "family"];
const TRAIT = "trait.";
export const { sizes: SIZES, children: CHILDREN, columns: COLUMNS } = server;

const DEFAULTS = {
  seed: server.seed,
  model: "",
  psi: null, // the model's own
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

const number = (low, high) => (text) => {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : undefined;
};
const integer = (low, high) => (text) => {
  const value = number(low, high)(text);
  return value === undefined ? undefined : Math.round(value);
};
const oneOf = (values) => (text) => (values.includes(text) ? text : undefined);
const flag = (text) => text === "1";
// How each field of an address is read; undefined: its default.
const PARSERS = {
  seed: (text) => text,
  model: (text) => (/^[\w-]{1,64}$/.test(text) ? text : undefined),
  psi: number(0, server.largestPsi),
  open: flag,
  view: oneOf(VIEWS),
  with: (text) => text,
  t: number(0, 1),
  loop: (text) => flag(text) && !matchMedia("(prefers-reduced-motion: reduce)").matches,
  at: integer(0, 64),
  child: integer(0, CHILDREN - 1),
  age: number(0, 1),
  size: integer(16, server.largest),
  format: oneOf([...new Set(Object.values(server.formats).flat())]),
  shape: oneOf(server.shapes),
  pin: flag,
  wall: integer(0, 1e12),
};

/** The state that an address's query describes; unknown names are ignored. */
export function parse(query) {
  const state = { ...DEFAULTS, traits: {} };
  for (const [name, text] of new URLSearchParams(query)) {
    if (name.startsWith(TRAIT)) state.traits[name.slice(TRAIT.length)] = text;
    else if (Object.hasOwn(PARSERS, name)) state[name] = PARSERS[name](text) ?? DEFAULTS[name];
  }
  return state;
}

/** The address of a state, without what has its default value. */
export function address(state) {
  const parameters = new URLSearchParams();
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = state[name];
    if (value !== usual && value !== null) parameters.set(name, value === true ? "1" : String(value));
  }
  for (const [name, value] of Object.entries(state.traits)) parameters.set(TRAIT + name, value);
  const query = encode(parameters);
  return query ? `?${query}` : location.pathname;
}

/** A picture's path and query, without parameters that are null or undefined. */
function picture(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined) query.set(name, value);
  }
  return `${root}${path}?${encode(query)}`;
}

// %20 means the same as + in a query, and cannot be taken for a plus.
function encode(parameters) {
  return parameters.toString().replaceAll("+", "%20");
}

/** The parameters that all pictures of a state have in common. `version`: a model's name, or null. */
function look(state, version) {
  return { psi: state.psi, ...state.traits, model: version };
}

export function face(state, seed, size, version) {
  return picture("/avatar", { seed, size, format: "webp", ...look(state, version) });
}

/** The shortest address of the face; `model` only where the address of the page names one. */
export function link(state) {
  return picture("/avatar", { seed: state.seed, ...look(state, state.model || null) });
}

export function child(state, index, size, version) {
  const parameters = { parents: parents(state), child: index, size, format: "webp" };
  return picture("/family", { ...parameters, ...look(state, version) });
}

/** The picture that the state describes; `overrides` may change its size or format. */
export function full(state, version, overrides = {}) {
  const now = { ...state, ...overrides };
  const { size, seed } = now;
  const shape = now.shape === "square" ? null : now.shape;
  const rest = { size: side(now), dpr: overrides.dpr, shape, format: format(now), ...look(now, version) };
  if (now.view === "morph") {
    const position = now.loop ? {} : { t: now.t };
    return picture("/morph", { from: seed, to: now.with, ...position, ...rest });
  }
  if (now.view === "mix") return picture("/mix", { coarse: seed, fine: now.with, at: now.at, ...rest });
  if (now.view === "family") {
    const children = now.child === null ? { children: CHILDREN, columns: COLUMNS } : { child: now.child };
    return picture("/family", { parents: parents(now), ...children, ...rest });
  }
  if (now.age === null) return picture("/avatar", { seed, ...rest });
  // Earlier checkpoints have no sliders.
  const kept = Object.entries(rest).filter(([name]) => !isSlider(name, now.traits));
  return picture("/avatar", { seed, age: now.age, ...Object.fromEntries(kept) });
}

function isSlider(name, traits) {
  return name in traits && /^-?[0-9.]+$/.test(traits[name]);
}

export function formats(state) {
  if (state.view === "morph" && state.loop) return server.formats.loop;
  return isSheet(state) ? server.formats.sheet : server.formats.still;
}

/** The format of the state's picture: the chosen one where its view has it. */
export function format(state) {
  return formats(state).includes(state.format) ? state.format : "webp";
}

export function isSheet(state) {
  return state.view === "family" && state.child === null;
}

/** Pixels along one face; loops have a lower limit. */
export function side(state) {
  return state.view === "morph" && state.loop ? Math.min(state.size, server.largestLoop) : state.size;
}

export function extent(state) {
  const pixels = side(state);
  return isSheet(state) ? [pixels * COLUMNS, pixels * (CHILDREN / COLUMNS)] : [pixels, pixels];
}

/** Whether the server draws the picture with twice as many pixels. */
export function canDouble(state) {
  const most = state.view === "morph" && state.loop ? server.largestLoop : server.largest;
  return format(state) !== "svg" && !isSheet(state) && side(state) * 2 <= most;
}

// Each seed of a list is encoded once more (docs/api.md).
function parents(state) {
  return `${encodeURIComponent(state.seed)},${encodeURIComponent(state.with)}`;
}
