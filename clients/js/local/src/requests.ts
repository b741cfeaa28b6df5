/** Addresses of pictures that this package draws as the server would. */

import type { Manifest } from "./model.js";

export interface Picture {
  model: string; // a full version
  seed: string;
  size: number;
  psi: number | undefined; // the model's own
  variant: number;
  traits: Record<string, string>;
}

const VERSION = /^[0-9a-f]{64}$/;
const NUMBER = /^\d{1,4}(\.\d{1,6})?$/;
const WHOLE = /^\d{1,4}$/;
const FORMATS = new Set(["png", "webp"]); // an <img> takes either for the other

/** The picture of a query string; undefined in every doubt, which the server settles. */
export function parseQuery(query: string): Picture | undefined {
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
  const seed = values.get("seed");
  values.delete("seed");
  const [model, size, dpr] = [take("model", ""), take("size", "128"), take("dpr", "1")];
  const psi = values.get("psi");
  values.delete("psi");
  const [variant, format, shape] = [take("variant", "0"), take("format", "png"), take("shape", "square")];
  const isKnown =
    seed !== undefined && VERSION.test(model) && FORMATS.has(format) && shape === "square" &&
    WHOLE.test(size) && NUMBER.test(dpr) && NUMBER.test(psi ?? "1") && WHOLE.test(variant);
  const side = Math.trunc(Number(size) * Number(dpr) + 0.5);
  const picture = { model, seed: seed ?? "", size: side, psi: psi === undefined ? psi : Number(psi) };
  const isInRange =
    Number(size) >= 16 && side <= 1024 && Number(dpr) >= 1 && Number(dpr) <= 4 &&
    (picture.psi ?? 1) <= 1.5 && Number(variant) <= 999;
  if (!isKnown || !isInRange) return undefined;
  return { ...picture, variant: Number(variant), traits: Object.fromEntries(values) };
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
