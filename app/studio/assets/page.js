// What every page has: theme and language, words, notices, copying.

const html = document.documentElement;

export const byId = (id) => document.getElementById(id);

export const on = (id, type, listener) => byId(id).addEventListener(type, listener);

/** Set a text where it differs: browsers lay out anew, and leave garbage, for the same text too. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A new element with these properties, and its content. */
export function create(tag, properties = {}, ...content) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...content);
  return element;
}

const words = JSON.parse(byId("words").textContent);

export const root = html.dataset.root;

/** The translation of a key, `{name}` replaced by `values.name`. Throws for an unknown key. */
export function t(key, values = {}) {
  if (!(key in words)) throw new Error(`no words for ${key}`);
  return words[key].replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
}

export const translated = (key, fallback) => words[key] ?? fallback;

/** Show a short notice, within an open dialog where there is one. */
export function toast(text) {
  const place = byId("toast");
  const home = document.querySelector("dialog[open]") ?? document.body;
  if (place.parentNode !== home) home.append(place);
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => place.classList.remove("shown"), 2600);
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // without TLS there is no navigator.clipboard
  }
  toast(t("common.copied"));
}

function copyBySelection(text) {
  const area = create("textarea", { value: text, className: "sr" });
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** fetch; throws an Error with a readable message; `problem`: the server's document. */
export async function request(path, options) {
  let response;
  try {
    response = await fetch(root + path, options);
  } catch {
    throw new Error(t("common.offline"));
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => null); // a proxy answers in HTML
  throw Object.assign(new Error(problem?.detail ?? t("common.status", response)), { problem });
}

export function save(blob, name) {
  const link = create("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(byId(button.dataset.copy).textContent));
}

// An optional picture that failed to load is removed.
for (const image of document.querySelectorAll("[data-optional]")) {
  if (image.complete && !image.naturalWidth && image.loading !== "lazy") image.remove();
  else image.onerror = () => image.remove();
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function setCookie(name, value) {
  document.cookie = `${name}=${value}; path=${root || "/"}; max-age=31536000; samesite=lax`;
}

on("theme", "click", () => {
  const now = html.dataset.theme === "auto" ? (dark.matches ? "dark" : "light") : html.dataset.theme;
  html.dataset.theme = now === "dark" ? "light" : "dark";
  setCookie("kao_theme", html.dataset.theme);
});

// The other language shows the same state, since the address has all of it.
const language = byId("language");
language?.addEventListener("click", () => {
  const here = new URL(location.href);
  here.searchParams.set("lang", language.hreflang);
  language.href = here.search;
});
