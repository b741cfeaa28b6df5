// What the pages of the studio share: calls of the API, error messages, local times.

import { byId, create, root, t } from "./page.js";

/** Call the API; its JSON, or null without a body. Throws an Error with a readable message. */
export async function call(method, path, body) {
  const json = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(root + path, { method, ...json });
  } catch {
    throw new Error(t("common.offline"));
  }
  return parseResponse(response.status, await response.text());
}

let hasInput = false; // which loading the page anew would lose
addEventListener("input", () => (hasInput = true));

/** The JSON of a response; throws as `call` does. The error's `problem` is the whole document. */
export function parseResponse(status, text) {
  const isOver = status === 401 && !byId("login"); // the session
  if (isOver && !hasInput) location.reload(); // which shows the login
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // A proxy answers in HTML.
  }
  if (status < 400) return body;
  throw Object.assign(new Error(isOver ? t("studio.session.over") : (body?.detail ?? t("common.status", { status }))), { problem: body });
}

/** Send a file, or a promise of one, and show its progress; as `call` does. */
export async function upload(path, file) {
  byId("sent").hidden = false;
  byId("sending").textContent = t("studio.upload.packing");
  onbeforeunload = (event) => event.preventDefault(); // asks before the upload is lost
  try {
    return await send(path, await file);
  } finally {
    onbeforeunload = null;
    byId("sent").hidden = true;
    byId("sending").textContent = "";
  }
}

// fetch says nothing of an upload's progress.
function send(path, body) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", root + path);
    request.upload.onprogress = ({ loaded, total }) => {
      byId("sent").value = loaded / total;
      const share = Math.floor((100 * loaded) / total);
      byId("sending").textContent = loaded < total ? t("studio.upload.sending", { share }) : t("studio.upload.checking");
    };
    request.onload = () => done(request);
    request.onerror = () => failed(new Error(t("common.offline")));
    request.send(body);
  }).then(({ status, responseText }) => parseResponse(status, responseText));
}

const mark = (code) => (code === "/studio" ? create("a", { href: root + code, target: "_blank" }, code) : create("code", {}, code));

/** Show an error message, whose code stands between backticks; without a text: hide it. */
export function showProblem(text = "") {
  const place = byId("problem");
  place.replaceChildren(...text.split("`").map((part, n) => (n % 2 ? mark(part) : part)));
  place.hidden = !text;
  if (text) place.scrollIntoView({ block: "nearest" });
}

/** Run `work` when a button is clicked, once at a time; its error becomes the page's message. */
export function onClick(button, work) {
  button?.addEventListener("click", async () => {
    if (button.ariaDisabled) return;
    button.ariaDisabled = true; // a disabled button would lose the focus
    showProblem();
    try {
      await work();
    } catch (error) {
      showProblem(error.message);
    }
    button.ariaDisabled = null;
  });
}

// A picture that failed to load is replaced by the reason.
for (const image of document.querySelectorAll("img[src]:not([data-optional])")) {
  const failed = async () => {
    try {
      const response = await fetch(image.src);
      if (response.ok) return;
      image.replaceWith(create("p", { className: "error" }, (await response.json()).detail));
    } catch {
      // The server is away; a reload shows the picture.
    }
  };
  if (image.complete && !image.naturalWidth && image.loading !== "lazy") failed();
  else image.addEventListener("error", failed, { once: true });
}

// Times are UTC in the page and local on the screen.
const local = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
for (const time of document.querySelectorAll("main time")) {
  const date = new Date(time.dateTime);
  const minutes = Math.round((date - Date.now()) / 60_000);
  time.title = local.format(date);
  time.textContent = minutes > -60 ? relative.format(minutes, "minute") : minutes > -1440 ? relative.format(Math.round(minutes / 60), "hour") : time.title;
}

export function duration(seconds) {
  if (seconds < 90) return t("studio.seconds", { n: Math.round(seconds) });
  const minutes = Math.round(seconds / 60);
  const words = minutes < 60 ? [] : [t("studio.hours", { n: Math.floor(minutes / 60) })];
  if (minutes % 60) words.push(t("studio.minutes", { n: minutes % 60 }));
  return words.join(" ");
}

// A button that does one thing, after a question: data-do is the method and the path.
for (const button of document.querySelectorAll("[data-do]")) {
  onClick(button, async () => {
    const { do: what, sure } = button.dataset;
    if (sure && !confirm(sure)) return;
    await call(...what.split(" "));
    location.reload();
  });
}

// A form: data-send is the method and the path, data-list a field of several values.
for (const form of document.querySelectorAll("[data-send]")) {
  onClick(form.querySelector("[type=submit]"), async () => {
    if (!form.reportValidity()) return;
    form.elements[0].select(); // what has to be corrected after an error
    const { send, list } = form.dataset;
    const fields = new FormData(form);
    if (list && !fields.has(list)) throw new Error(t("studio.none.ticked"));
    const body = { ...Object.fromEntries(fields), ...(list && { [list]: fields.getAll(list) }) };
    const answer = await call(...send.split(" "), body);
    const secret = answer?.key ?? answer?.secret;
    if (!secret) return location.reload();
    byId("secret").textContent = secret;
    byId("made").onclose = () => location.reload();
    byId("made").showModal();
  });
}

onClick(byId("logout"), async () => {
  await call("DELETE", "/session");
  location.href = `${root}/studio`;
});
