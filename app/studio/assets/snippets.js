// The shown picture as others embed it: an address, HTML, Markdown, React.

import { byId, request, root, t } from "./page.js";
import { canDouble, extent, full, isSheet, link } from "./state.js";

const REST = 300; // ms without a change, after which the server is asked
const texts = new Map(); // what faces show, by address
let timer;

/** Alternative text: what the picture shows, never its seeds, which may be names or addresses of people.
 *
 * `update` is called once the server has described a face. It is not asked while faces are drawn here.
 */
export function describe(state, version, update) {
  clearTimeout(timer);
  const look = { shape: "square", format: "webp" };
  const path = full(state, version, look).slice(root.length).replace("format=webp", "format=json");
  if (state.view === "face" && !texts.has(path) && !byId("here").checked) {
    timer = setTimeout(async () => {
      const answer = await request(path).catch(() => null);
      const { alt } = (await answer?.json()) ?? {};
      if (!alt) return;
      texts.set(path, alt[document.documentElement.lang.split("-")[0]] ?? alt.en);
      update();
    }, REST);
  }
  return texts.get(path) ?? t(`playground.alt.${state.view}`);
}

/** The text to copy. `version`: the model that its address names, or null; `alt`: see `describe`. */
export function snippet(kind, state, version, alt) {
  const url = absolute(full(state, version));
  if (kind === "url") return url;
  if (kind === "markdown") return `![${alt.replace(/([\\[\]])/g, "\\$1")}](${url})`;
  const double = canDouble(state) ? `${absolute(full(state, version, { dpr: 2 }))} 2x` : null;
  const [width, height] = extent(state);
  return kind === "html" ? html(url, double, width, height, alt) : react(url, double, width, height, alt);
}

/** The shortest <img> of the face, as the first screen shows it. */
export function shortest(state) {
  return `<img src="${escapeHtml(absolute(link(state)))}" alt="${t("playground.alt.face")}">`;
}

/** The seeds of the picture, as its name on the page. */
export function caption(state) {
  const [seed, other] = [state.seed, state.with].map((text) => text.replace(/\s+/g, " ").trim() || t("playground.empty"));
  return state.view === "face" ? seed : `${seed} + ${other}`;
}

export function filename(state, format) {
  const name = caption(state).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "face";
  return `${name}${isSheet(state) ? "-family" : ""}.${format === "jpeg" ? "jpg" : format}`;
}

function html(url, double, width, height, alt) {
  const set = double ? ` srcset="${escapeHtml(double)}"` : "";
  return `<img src="${escapeHtml(url)}"${set} width="${width}" height="${height}" alt="${escapeHtml(alt)}" loading="lazy">`;
}

function react(url, double, width, height, alt) {
  const set = double ? `\n  srcSet="${double}"` : "";
  return `<img\n  src="${url}"${set}\n  width={${width}}\n  height={${height}}\n  alt={${JSON.stringify(alt)}}\n  loading="lazy"\n/>`;
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}

function absolute(path) {
  return new URL(path, location.origin).href;
}
