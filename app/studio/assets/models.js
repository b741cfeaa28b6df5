// The models that there are, and the dialog that lets one choose.

import { root, t } from "./chrome.js";
import { sample } from "./state.js";

const SHORT = 12; // hex digits by which people tell versions apart

async function get(path) {
  const answer = await fetch(`${root}${path}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body;
}

export class Models {
  async load() {
    const { models, aliases } = await get("/models");
    this.all = models;
    this.aliases = aliases;
    this.cards = new Map();
  }

  /** The version that a name means now: an alias, a version, or the beginning of one. */
  version(name) {
    const meant = this.aliases[name || "default"] ?? name;
    return this.all.find((model) => model.version.startsWith(meant))?.version ?? meant;
  }

  /** A model with its card and traits. */
  async card(version) {
    if (!this.cards.has(version)) {
      const asked = get(`/models/${encodeURIComponent(version)}`);
      asked.catch(() => this.cards.delete(version));
      this.cards.set(version, asked);
    }
    return this.cards.get(version);
  }

  /** Fill a list with a card for each; `choose(version)` is called with the one that is taken. */
  async list(element, current, choose) {
    element.replaceChildren(...this.all.map((model) => this.item(model, current, choose)));
    await Promise.all(
      this.all.map(async (model, n) => tell(element.children[n], (await this.card(model.version)).card)),
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
    for (const alias of model.aliases) name.append(" ", make("span", "badge", alias));
    button.append(picture, name, make("dl", "facts"));
    button.addEventListener("click", () => choose(model.version));
    const page = make("a", "note", t("playground.card.page"));
    page.href = `${root}/models/${model.version}/card`;
    page.setAttribute("aria-label", `${page.textContent}: ${model.version.slice(0, SHORT)}`);
    item.append(button, page);
    return item;
  }
}

/** What a card says, in the reader's words. */
function tell(item, card) {
  const facts = item.querySelector(".facts");
  const number = new Intl.NumberFormat(document.documentElement.lang);
  const minutes = Math.max(1, Math.round(card.training.seconds / 60));
  const rows = [
    ["dataset", card.dataset.name],
    ["licence", card.dataset.licence],
    ["credit", card.dataset.credit],
    ["resolution", `${card.network.resolution} × ${card.network.resolution}`],
    ["training", t("playground.card.trained", { images: number.format(card.training.images), minutes: number.format(minutes) })],
  ];
  const told = rows.filter(([, value]) => value).map(([name, value]) => [t(`playground.card.${name}`), value]);
  // Measures have names of their own, the same in every language.
  for (const [name, value] of Object.entries(card.measures ?? {})) {
    told.push([name, number.format(Number(value.toPrecision(4)))]);
  }
  facts.replaceChildren(...told.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)]));
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
