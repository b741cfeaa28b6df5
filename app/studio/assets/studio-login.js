// A key for a cookie.

import { at, call, problem } from "./studio.js";

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  problem();
  try {
    await call("POST", "/session", { key: at("key").value });
    location.reload();
  } catch (error) {
    problem(error.message);
    at("key").select();
  }
});
