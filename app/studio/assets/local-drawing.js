// The switch by which this browser draws the page's pictures itself (docs/browser.md).

import { root } from "./page.js";

const box = document.getElementById("here");
const workers = navigator.serviceWorker; // missing without TLS
const scope = `${root}/`;

if (workers) {
  box.checked = Boolean(await workers.getRegistration(scope));
  box.parentNode.hidden = false;
  box.addEventListener("change", async () => {
    if (box.checked) await workers.register(`${root}/local/service.js`, { scope });
    else await (await workers.getRegistration(scope))?.unregister();
  });
}
