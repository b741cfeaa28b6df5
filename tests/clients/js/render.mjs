// render.mjs: what the wrappers beside it render on a server, as JSON: a list of HTML by framework.
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { createSSRApp, h } from "vue";
import { renderToString } from "vue/server-renderer";
import { Face as ReactFace } from "./react.js";
import { Face as VueFace } from "./vue.js";

const cases = [
  { seed: "ada & co", size: 64, traits: { hair_colour: "pink" }, local: true },
  { seed: "ada", psi: 0.5, local: false },
  { seed: "ada", shape: undefined },
];
const react = cases.map((props) => renderToStaticMarkup(createElement(ReactFace, props)));
const styled = { seed: "ada", className: "round", style: { margin: 4 }, title: "Ada", onLoad() {} };
react.push(renderToStaticMarkup(createElement(ReactFace, styled)));
const vue = await Promise.all(cases.map((props) => renderToString(createSSRApp(() => h(VueFace, props)))));
console.log(JSON.stringify({ react, vue }));
