// A run's sheets in order, shown without flicker.

import { root } from "./page.js";
import { call } from "./studio.js";

export const images = (name) => Number(name.replace(".png", ""));

export async function sheets(run) {
  return (await call("GET", `/train/${run}/sheets`)).map((address) => address.split("/").pop());
}

/** Show a sheet; of several requested while one loads, only the last. */
export function show(frame, run, name, alt) {
  const next = new Image();
  next.alt = alt;
  next.src = `${root}/train/${run}/sheets/${name}`;
  frame.dataset.wanted = name;
  next.decode().then(
    () => frame.dataset.wanted === name && (frame.replaceChildren(next), (frame.dataset.shown = name)),
    () => {},
  );
}
