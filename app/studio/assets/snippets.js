// The shown picture as others embed it: an address, HTML, Markdown, React.

import { asked, canDouble, extent, isSheet } from "./state.js";

export const KINDS = ["url", "html", "markdown", "react"];

/** The text to copy. `version` is what the address names, or nothing. */
export function snippet(kind, state, version) {
  const url = absolute(asked(state, version));
  if (kind === "url") return url;
  const alt = caption(state);
  if (kind === "markdown") return `![${alt.replace(/([\\[\]])/g, "\\$1")}](${url})`;
  const double = canDouble(state) ? `${absolute(asked(state, version, { dpr: 2 }))} 2x` : null;
  const [width, height] = extent(state);
  return kind === "html" ? html(url, double, width, height, alt) : react(url, double, width, height, alt);
}

/** Who is to be seen, for those who do not see it. */
export function caption(state) {
  const { seed, view } = state;
  const text = view === "face" ? seed : `${seed} + ${state.with}`;
  return text.replace(/\s+/g, " ").trim();
}

/** A file's name for the picture. */
export function filename(state, format) {
  const name = caption(state).replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "face";
  return `${name}${isSheet(state) ? "-family" : ""}.${format === "jpeg" ? "jpg" : format}`;
}

function html(url, double, width, height, alt) {
  const set = double ? ` srcset="${escaped(double)}"` : "";
  return `<img src="${escaped(url)}"${set} width="${width}" height="${height}" alt="${escaped(alt)}" loading="lazy">`;
}

function react(url, double, width, height, alt) {
  const set = double ? `\n  srcSet="${double}"` : "";
  return `<img\n  src="${url}"${set}\n  width={${width}}\n  height={${height}}\n  alt={${JSON.stringify(alt)}}\n  loading="lazy"\n/>`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}

function absolute(path) {
  return new URL(path, location.origin).href;
}
