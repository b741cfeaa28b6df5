// The switch by which this browser draws the page's pictures itself (docs/browser.md).

import { followLive } from "./picture.js";
import { byId, root } from "./page.js";

const box = byId("here");
const workers = navigator.serviceWorker; // missing without TLS
const scope = `${root}/`;

const preview = async () => {
  const live = box.checked ? await import(`${root}/local/live.js`) : null;
  followLive(live && new live.LiveFaces(new URL(scope, location).href));
};

if (workers) {
  box.checked = Boolean(await workers.getRegistration(scope));
  box.parentNode.hidden = false;
  preview();
  box.addEventListener("change", async () => {
    preview();
    if (box.checked) await workers.register(`${root}/local/service.js`, { scope });
    else await (await workers.getRegistration(scope))?.unregister();
  });
}
