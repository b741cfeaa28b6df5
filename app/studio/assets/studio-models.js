// Promoting a model, and rolling the last promotion back.

import { root, t, toast } from "./page.js";
import { byId, call, onClick } from "./studio.js";

const PROMOTED = "#promoted";
const dialog = byId("confirm");

byId("promote")?.addEventListener("click", () => dialog.showModal());
byId("confirm-cancel")?.addEventListener("click", () => dialog.close());
byId("force")?.addEventListener("change", (event) => (byId("confirm-promote").disabled = !event.target.checked));
if (byId("force")) byId("confirm-promote").disabled = true;

onClick(byId("confirm-promote"), async () => {
  const { version } = byId("model").dataset;
  try {
    await call("POST", `/models/${version}/promote${byId("force")?.checked ? "?force=true" : ""}`);
  } finally {
    dialog.close();
  }
  location.hash = PROMOTED;
  location.reload();
});

async function rollBack() {
  const live = await call("POST", "/models/rollback");
  location.href = `${root}/studio/models/${live.version}`;
}

onClick(byId("rollback"), async () => {
  if (confirm(t("studio.model.rollback.sure"))) await rollBack();
});

if (location.hash === PROMOTED) {
  history.replaceState(null, "", location.pathname);
  toast(t("studio.model.promoted"));
}
