// Promoting and rolling back.

import { root, t } from "./chrome.js";
import { at, call, does } from "./studio.js";

does(at("promote"), async () => {
  const version = at("model").dataset.version;
  await call("POST", `/models/${version}/promote`);
  location.reload();
});

does(at("rollback"), async () => {
  if (!confirm(t("studio.model.rollback.sure"))) return;
  const served = await call("POST", "/models/rollback");
  location.href = `${root}/studio/models/${served.version}`;
});
