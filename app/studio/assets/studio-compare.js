// Runs beside each other: one slider moves all of them through the images that they saw.

import { t } from "./chrome.js";
import { at, problem } from "./studio.js";
import { images, sheets, show } from "./studio-sheets.js";

const whole = new Intl.NumberFormat(document.documentElement.lang);
const figures = [...document.querySelectorAll("[data-sheets]")];
const known = new Map();
let most = 0;

function turn() {
  const until = (at("scrub").value / 1000) * most;
  for (const [figure, names] of known) {
    const seen = names.filter((name) => images(name) <= until);
    const name = seen.at(-1) ?? names[0];
    if (!name) continue;
    figure.querySelector(".told").textContent = t("studio.run.sheet.at", { images: whole.format(images(name)) });
    show(figure.querySelector(".frame"), figure.dataset.sheets, name, t("studio.run.sheet.alt"));
  }
}

async function load() {
  for (const figure of figures) known.set(figure, await sheets(figure.dataset.sheets));
  most = Math.max(0, ...[...known.values()].flat().map(images));
  turn();
}
at("scrub")?.addEventListener("input", turn);
load().catch((error) => problem(error.message));
