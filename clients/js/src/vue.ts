/** `<Face seed="ada" :size="64" :traits="{ hair_colour: 'pink' }" />` for Vue. */

import "./face.js";
import { h, type FunctionalComponent } from "vue";
import { attributes, type FaceProps } from "./props.js";

export const Face: FunctionalComponent<FaceProps> = (props) => h("kao-face", attributes(props));
// Boolean: `local` alone is true; null: of any type.
Face.props = {
  seed: null, size: null, server: null, shape: null, psi: null, model: null, alt: null, loading: null,
  traits: null, local: Boolean,
};
