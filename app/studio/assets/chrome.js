// What every page has: the switch of colours, the switch of languages, words and short notices.

const html = document.documentElement;
const words = JSON.parse(document.getElementById("words").textContent);

export const root = html.dataset.root;

/** The words of a key, `{name}` replaced by what `values` has under that name. */
export function t(key, values = {}) {
  if (!(key in words)) throw new Error(`no words for ${key}`);
  return words[key].replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
}

/** A short notice that screen readers hear too; an open dialog hides all that is not in it. */
export function toast(text) {
  const place = document.getElementById("toast");
  const home = document.querySelector("dialog[open]") ?? document.body;
  if (place.parentNode !== home) home.append(place);
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => place.classList.remove("shown"), 2600);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

function remember(name, value) {
  document.cookie = `${name}=${value}; path=${root || "/"}; max-age=31536000; samesite=lax`;
}

document.getElementById("theme").addEventListener("click", () => {
  const now = html.dataset.theme === "auto" ? (dark.matches ? "dark" : "light") : html.dataset.theme;
  html.dataset.theme = now === "dark" ? "light" : "dark";
  remember("kao_theme", html.dataset.theme);
});

// The other language shows the same state: all of it is in the address.
const language = document.getElementById("language");
language?.addEventListener("click", () => {
  const here = new URL(location.href);
  here.searchParams.set("lang", language.hreflang);
  language.href = here.search;
});
