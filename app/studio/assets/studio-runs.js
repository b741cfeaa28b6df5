// The list of runs: two to four may be compared; what runs moves on.

import { byId } from "./page.js";
import { call } from "./studio.js";

const form = byId("compare");
const boxes = [...document.querySelectorAll("[name=run]")];

function count() {
  const picked = boxes.filter((box) => box.checked).length;
  byId("compare-go").disabled = picked < 2;
  for (const box of boxes) box.disabled = picked >= 4 && !box.checked;
}
form?.addEventListener("change", count);
if (form) count();

const moving = [...document.querySelectorAll(".run[data-state=queued], .run[data-state=running]")];
async function look() {
  for (const item of moving) {
    try {
      const run = await call("GET", `/train/${item.dataset.run}`);
      if (run.state !== item.dataset.state) return location.reload();
      item.querySelector("progress").value = run.progress?.fraction ?? 0;
    } catch {
      // The server is away; the next look may find it.
    }
  }
  setTimeout(look, 4000);
}
if (moving.length) setTimeout(look, 4000);
