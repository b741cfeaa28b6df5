/** `<Face seed="ada" size={64} traits={{ hair_colour: "pink" }} />` for React. */

import "./face.js";
import { createElement, type ReactElement } from "react";
import { attributes, type FaceProps } from "./props.js";

export function Face(props: FaceProps): ReactElement {
  return createElement("kao-face", attributes(props));
}
