// What the studio's pages share: calls that say what went wrong, curves in the page's colours.

import { root, t } from "./chrome.js";

/** The element of an id. */
export const at = (id) => document.getElementById(id);

/** One call; its JSON, or null where there is none. Throws an Error whose message is for people. */
export async function call(method, path, body) {
  const json = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(root + path, { method, ...json });
  } catch {
    throw new Error(t("common.offline"));
  }
  return told(answer.status, await answer.text());
}

/** What an answer says; throws as `call` does. */
export function told(status, text) {
  // The page as it was asked for again shows the login.
  if (status === 401 && !at("login")) location.reload();
  let said = null;
  try {
    said = text ? JSON.parse(text) : null;
  } catch {
    said = { detail: text.slice(0, 200) };
  }
  if (status >= 400) throw new Error(said?.detail ?? t("studio.status", { status }));
  return said;
}

/** Says what went wrong where everybody sees and hears it; nothing: takes it away. */
export function problem(text = "") {
  const place = at("problem");
  place.textContent = text;
  place.hidden = !text;
  if (text) place.scrollIntoView({ block: "nearest" });
}

/** A button that does one thing at a time and says why it could not. */
export function does(button, work) {
  button?.addEventListener("click", async () => {
    button.disabled = true;
    problem();
    try {
      await work();
    } catch (error) {
      problem(error.message);
    }
    button.disabled = false;
  });
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const html = document.documentElement;

/** Draws all curves anew: SVG pictures know nothing of the page's colours, so they are asked for. */
export function drawCurves() {
  const auto = dark.matches ? "dark" : "light";
  const theme = html.dataset.theme === "auto" ? auto : html.dataset.theme;
  for (const image of document.querySelectorAll("img[data-curve]")) {
    const [first, ...beside] = image.dataset.runs.split(",");
    // As wide as it is shown, so that its letters keep their size; in steps, as widths vary.
    const width = Math.min(1600, Math.max(200, Math.round((image.parentElement.clientWidth - 32) / 20) * 20));
    const asked = new URLSearchParams({ of: image.dataset.curve, theme, width, height: 220 });
    if (beside.length) asked.set("beside", beside.join(","));
    drawCurve(image, `${root}/train/${first}/curves.svg?${asked}`);
  }
}

/**
 * Fetch one curve and show it. An <img> with the same address would come from the document's own
 * memory of pictures, which neither no-store nor another fragment gets past.
 */
async function drawCurve(image, address) {
  const none = image.parentElement.querySelector(".none");
  try {
    const answer = await fetch(address);
    if (!answer.ok) return;
    const before = image.src;
    if (answer.status === 200) image.src = URL.createObjectURL(await answer.blob());
    if (before.startsWith("blob:") && before !== image.src) URL.revokeObjectURL(before);
    image.hidden = !image.src; // nothing measured yet is an empty answer
    none.hidden = !image.hidden;
  } catch {
    // The server is away; the next drawing finds it.
  }
}
new MutationObserver(drawCurves).observe(html, { attributeFilter: ["data-theme"] });
dark.addEventListener("change", drawCurves);
drawCurves();

// A picture that did not come says why; one that need not be there goes.
for (const image of document.querySelectorAll("img[src]")) {
  const failed = async () => {
    if (image.hasAttribute("data-optional")) return image.remove();
    try {
      const answer = await fetch(image.src);
      if (answer.ok) return;
      const why = document.createElement("p");
      why.className = "error";
      why.textContent = (await answer.json()).detail;
      image.replaceWith(why);
    } catch {
      // Offline: the next look shows it.
    }
  };
  if (image.complete && !image.naturalWidth && image.loading !== "lazy") failed();
  else image.addEventListener("error", failed, { once: true });
}

// The server writes times as it keeps them, in UTC; a reader has a clock of their own.
const local = new Intl.DateTimeFormat(html.lang, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("main time")) time.textContent = local.format(new Date(time.dateTime));

does(at("logout"), async () => {
  await call("DELETE", "/session");
  location.href = `${root}/studio`;
});
