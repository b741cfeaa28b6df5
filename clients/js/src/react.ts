/** `<Face seed="ada" size={64} traits={{ hair_colour: "pink" }} />` for React. */

import "./face.js";
import { createElement, type HTMLAttributes, type ReactElement, type Ref } from "react";
import { attributes, type FaceProps } from "./props.js";

/** What every element takes, such as `className`, `style` and `onLoad`, besides the face's own. */
export type Props = FaceProps & Omit<HTMLAttributes<HTMLElement>, keyof FaceProps> & { ref?: Ref<HTMLElement> };

export function Face({ seed, size, server, shape, psi, model, alt, loading, local, traits, className, ...rest }: Props): ReactElement {
  const face = attributes({ seed, size, server, shape, psi, model, alt, loading, local, traits } as FaceProps);
  return createElement("kao-face", { ...rest, ...(className ? { class: className } : {}), ...face });
}
