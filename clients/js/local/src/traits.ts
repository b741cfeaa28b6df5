/** Traits of a conditional model: docs/seeds.md, "Traits" and "Sliders and ages". */

import { quantile } from "./normal.js";

/** A label of the dataset; the card has its values and their shares of the training set. */
export interface Attribute {
  name: string;
  hidden?: boolean; // no request selects its value: its number stays the seed's
  values: string[];
  shares: number[];
}

const RAREST = 1e-9; // a smaller share is a rounding error: no image has the value

/** The latent's number that asks for a value: the middle of its piece of the line. */
export function numberOf(attribute: Attribute, value: string): number {
  const index = attribute.values.indexOf(value);
  const share = attribute.shares[index];
  if (share === undefined || share <= RAREST) {
    throw new RangeError(`${attribute.name} has no value ${value}.`);
  }
  const before = attribute.shares.slice(0, index).reduce((sum, each) => sum + each, 0);
  return quantile(before + share / 2);
}

/** A copy of z with the numbers of the attributes in `traits` replaced. Throws RangeError. */
export function select(
  z: Float32Array,
  attributes: readonly Attribute[],
  traits: Readonly<Record<string, string | number>>,
): Float32Array {
  const latent = z.slice();
  attributes.forEach((attribute, place) => {
    const value = traits[attribute.name];
    if (value !== undefined) {
      latent[z.length - attributes.length + place] = numberOf(attribute, String(value));
    }
  });
  return latent;
}
