// Runs beside each other: one slider shows the sheets of all after the same number of images.

import { byId, on, t } from "./page.js";
import { Charts, whole } from "./chart.js";
import { showProblem } from "./studio.js";
import { images, sheets, show } from "./studio-sheets.js";

const figures = [...document.querySelectorAll("[data-sheets]")];
const names = new Map(); // of each figure's sheets
let most = 0; // images that the longest run has seen

function showSheets() {
  const until = (byId("scrub").value / 1000) * most;
  for (const [figure, all] of names) {
    const name = all.filter((one) => images(one) <= until).at(-1) ?? all[0];
    if (!name) continue;
    figure.querySelector(".caption").textContent = t("studio.run.sheet.at", { images: whole.format(images(name)) });
    show(figure.querySelector(".frame"), figure.dataset.sheets, name, t("studio.run.sheet.alt"));
  }
}

async function load() {
  for (const figure of figures) names.set(figure, await sheets(figure.dataset.sheets));
  most = Math.max(0, ...[...names.values()].flat().map(images));
  showSheets();
}

if (figures.length) {
  on("scrub", "input", showSheets);
  const runs = byId("compared").dataset.runs.split(",");
  Promise.all([load(), new Charts().load(runs, figures.map((figure) => figure.dataset.name))]).catch((error) => showProblem(error.message));
}
