// The models of this server, and the dialog in which one is chosen.

import { root, t } from "./chrome.js";
import { sample, server } from "./state.js";

const SHORT = 12; // hex digits by which people tell versions apart

async function get(path) {
  const response = await fetch(`${root}${path}`);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

export class Models {
  constructor() {
    this.cards = new Map();
  }

  /** The version that a name means: an alias, a version, or the beginning of one. */
  version(name) {
    const meant = server.aliases[name || "default"] ?? name;
    return server.models.find((version) => version.startsWith(meant)) ?? meant;
  }

  /** A model with its card and traits; loaded once. */
  async card(version) {
    if (!this.cards.has(version)) {
      const loading = get(`/models/${encodeURIComponent(version)}`);
      loading.catch(() => this.cards.delete(version));
      this.cards.set(version, loading);
    }
    return this.cards.get(version);
  }

  /** Fill a list with one card for each model, the live one first; `choose(version)` gets the choice. */
  async list(element, current, choose) {
    const { models } = await get("/models");
    const live = (model) => model.aliases.includes("default");
    models.sort((a, b) => live(b) - live(a));
    element.replaceChildren(...models.map((model) => this.item(model, current, choose)));
    await Promise.all(
      models.map(async (model, n) => fill(element.children[n], model, (await this.card(model.version)).card)),
    );
  }

  item(model, current, choose) {
    const item = document.createElement("li");
    const button = make("button", "model-card");
    button.type = "button";
    button.dataset.version = model.version;
    if (model.version === current) button.setAttribute("aria-current", "true");
    const picture = make("img", "sample");
    Object.assign(picture, { src: sample(model.version), alt: "", width: 384, height: 128, loading: "lazy" });
    const name = make("span", "model-name", model.version.slice(0, SHORT));
    if (model.aliases.includes("default")) name.append(" ", make("span", "badge", t("playground.model.live")));
    button.append(picture, name, make("dl", "facts"));
    button.addEventListener("click", () => choose(model.version));
    const page = make("a", "note", t("playground.card.page"));
    page.href = `${root}/models/${model.version}/card`;
    page.setAttribute("aria-label", `${page.textContent}: ${model.version.slice(0, SHORT)}`);
    item.append(button, page);
    return item;
  }
}

/** Fill in what a card says; its measures have the same names in every language. */
function fill(item, model, card) {
  const { lang } = document.documentElement;
  const number = new Intl.NumberFormat(lang);
  const minutes = Math.max(1, Math.round(card.training.seconds / 60));
  const date = new Intl.DateTimeFormat(lang, { dateStyle: "medium" }).format(new Date(model.published));
  const fd = card.evaluation?.measures.fd ?? card.measures?.fd;
  const title = make("strong", "", `${card.dataset.name} · ${card.recipe.preset}`);
  item.querySelector(".model-name").prepend(title, " ");
  const rows = [
    ["dataset", card.dataset.name],
    ["licence", card.dataset.licence],
    ["credit", card.dataset.credit],
    ["resolution", `${card.network.resolution} × ${card.network.resolution}`],
    ["training", t("playground.card.trained", { images: number.format(card.training.images), minutes: number.format(minutes) })],
    ["fd", fd === undefined ? "" : number.format(Number(fd.toPrecision(3)))],
    ["published", date],
  ];
  const facts = rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", "", t(`playground.card.${name}`)), make("dd", "", value)]);
  item.querySelector(".facts").replaceChildren(...facts);
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
