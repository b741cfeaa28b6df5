/** Addresses of pictures that this package draws as the server would: /avatar, and /morph at a `t`. */

import type { Manifest, Morph } from "./model.js";

export interface Picture {
  model: string; // a full version
  seed: string;
  size: number;
  psi: number | undefined; // the model's own
  variant: number;
  traits: Record<string, string>;
  morph: Morph | undefined;
}

const VERSION = /^[0-9a-f]{64}$/;
const NUMBER = /^\d{1,4}(\.\d{1,6})?$/;
const WHOLE = /^\d{1,4}$/;
const FORMATS = new Set(["png", "webp"]); // an <img> takes either for the other

/** The picture of a path and its query string; undefined in every doubt, which the server settles. */
export function parseQuery(query: string, path = "avatar"): Picture | undefined {
  if (path !== "avatar" && path !== "morph") return undefined;
  const values = new Map<string, string>();
  for (const part of query.replace(/^\?/, "").split("&")) {
    const [name, ...rest] = part.split("=");
    try {
      const key = decode(name);
      if (!part || rest.length !== 1 || values.has(key)) return undefined;
      values.set(key, decode(rest[0]));
    } catch {
      return undefined; // no UTF-8
    }
  }
  const take = (name: string, fallback: string): string => {
    const value = values.get(name) ?? fallback;
    values.delete(name);
    return value;
  };
  const isMorph = path === "morph";
  const seed = values.get(isMorph ? "from" : "seed");
  const to = isMorph ? values.get("to") : "";
  const t = isMorph ? values.get("t") : "0";
  for (const name of isMorph ? ["from", "to", "t"] : ["seed"]) values.delete(name);
  const [model, size, dpr] = [take("model", ""), take("size", "128"), take("dpr", "1")];
  const psi = values.get("psi");
  values.delete("psi");
  const [variant, format, shape] = [isMorph ? "0" : take("variant", "0"), take("format", "png"), take("shape", "square")];
  const isKnown =
    seed !== undefined && to !== undefined && t !== undefined && NUMBER.test(t) && VERSION.test(model) && FORMATS.has(format) && shape === "square" &&
    WHOLE.test(size) && NUMBER.test(dpr) && NUMBER.test(psi ?? "1") && WHOLE.test(variant);
  const side = Math.trunc(Number(size) * Number(dpr) + 0.5);
  const picture = { model, seed: seed ?? "", size: side, psi: psi === undefined ? psi : Number(psi) };
  const isInRange =
    Number(size) >= 16 && side <= 1024 && Number(dpr) >= 1 && Number(dpr) <= 4 &&
    (picture.psi ?? 1) <= 1.5 && Number(variant) <= 999 && Number(t) <= 1;
  if (!isKnown || !isInRange) return undefined;
  const morph = isMorph ? { to, t: Number(t) } : undefined;
  return { ...picture, variant: Number(variant), traits: Object.fromEntries(values), morph };
}

/** The traits of a picture as numbers and values; undefined where the model has not all of them. */
export function traitsOf(
  { traits }: Picture,
  { attributes, sliders }: Manifest,
): Record<string, string | number> | undefined {
  const parsed: Record<string, string | number> = {};
  for (const [name, text] of Object.entries(traits)) {
    if (sliders.includes(name)) {
      if (!NUMBER.test(text.replace(/^-/, "")) || Math.abs(Number(text)) > 1) return undefined;
      parsed[name] = Number(text);
    } else if (attributes.some((attribute) => attribute.name === name)) {
      parsed[name] = text;
    } else {
      return undefined;
    }
  }
  return parsed;
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll("+", " "));
}
