// Promoting a model, rolling the last promotion back, and uploading a model.

import { byId, root, t, toast } from "./page.js";
import { call, onClick, upload } from "./studio.js";

const NOTICES = { "#promoted": "studio.model.promoted", "#uploaded": "studio.model.uploaded" };
const dialog = byId("confirm");

byId("promote")?.addEventListener("click", () => dialog.showModal());
byId("force")?.addEventListener("change", (event) => (byId("confirm-promote").disabled = !event.target.checked));

onClick(byId("confirm-promote"), async () => {
  const { version } = byId("model").dataset;
  try {
    await call("POST", `/models/${version}/promote${byId("force")?.checked ? "?force=true" : ""}`);
  } finally {
    dialog.close();
  }
  location.hash = "#promoted";
  location.reload();
});

const show = ({ version }, hash = "") => (location.href = `${root}/studio/models/${version}${hash}`);

onClick(byId("rollback"), async () => {
  if (confirm(t("studio.model.rollback.sure"))) show(await call("POST", "/models/rollback"));
});

byId("zip")?.addEventListener("change", ({ target }) => (byId("chosen").textContent = target.files[0]?.name ?? ""));
onClick(byId("send"), async () => {
  const [file] = byId("zip").files;
  if (!file) throw new Error(t("studio.model.upload.nothing"));
  show(await upload("/models", file), "#uploaded");
});

if (location.hash in NOTICES) {
  toast(t(NOTICES[location.hash]));
  history.replaceState(null, "", location.pathname);
}
