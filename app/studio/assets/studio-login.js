// A key for a cookie.

import { byId, call, showProblem } from "./studio.js";

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  showProblem();
  try {
    await call("POST", "/session", { key: byId("key").value });
    location.reload();
  } catch (error) {
    showProblem(error.message);
    byId("key").select();
  }
});
