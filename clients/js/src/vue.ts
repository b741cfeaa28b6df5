/** `<Face seed="ada" :size="64" :traits="{ hair_colour: 'pink' }" />` for Vue. */

import "./face.js";
import { h, type FunctionalComponent } from "vue";
import { attributes, type FaceProps } from "./props.js";

export const Face: FunctionalComponent<FaceProps> = (props) => h("kao-face", attributes(props));
Face.props = ["seed", "size", "server", "shape", "psi", "model", "alt", "loading", "traits"];
