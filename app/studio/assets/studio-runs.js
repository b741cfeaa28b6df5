// The list of runs: two to four may be compared; what runs moves on.

import { byId, t } from "./page.js";
import { call } from "./studio.js";

const form = byId("compare");
const boxes = [...document.querySelectorAll("[name=run]")];

function count() {
  const picked = boxes.filter((box) => box.checked).length;
  byId("compare-go").disabled = picked < 2;
  for (const box of boxes) box.disabled = picked >= 4 && !box.checked;
}
form?.addEventListener("change", count);
if (form) {
  count();
  addEventListener("pageshow", count); // Back restores what was ticked
}

const moving = [...document.querySelectorAll(".run[data-state=queued], .run[data-state=running]")];
/** Show a run's new state: by a reload, unless that would lose a tick, a text or the focus. */
function move(item, state) {
  const inUse = boxes.some((box) => box.checked) || document.activeElement.closest("form");
  if (!inUse) return location.reload();
  const badge = item.querySelector(".badge");
  item.dataset.state = badge.dataset.state = state;
  badge.textContent = t(`studio.state.${state}`);
  item.querySelector("progress").hidden = !["queued", "running"].includes(state);
}

async function look() {
  for (const item of moving) {
    try {
      const run = await call("GET", `/train/${item.dataset.run}`);
      if (run.state !== item.dataset.state) move(item, run.state);
      item.querySelector("progress").value = run.progress?.fraction ?? 0;
    } catch {
      // The server is away; the next look may find it.
    }
  }
  setTimeout(look, 4000);
}
if (moving.length) setTimeout(look, 4000);
