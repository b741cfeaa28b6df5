// Line charts as SVG: values are read by pointer or arrow keys; colours follow the theme.

import { byId, create, request, t } from "./page.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 220;
const EDGE = { left: 52, right: 14, top: 10, bottom: 26 }; // pixels around the plot
const language = document.documentElement.lang;
export const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 3 });
export const whole = new Intl.NumberFormat(language);

/** All curves of a run, by name: {names, points}. Throws where the server does not answer. */
export async function curvesOf(run) {
  return (await (await request(`/train/${run}/curves`, { cache: "no-store" })).json()).curves;
}

/** An exponential moving average with its start corrected, as in Adam (arXiv:1412.6980 §3). */
export function smooth(values, weight) {
  let sum = 0;
  return values.map((value, n) => {
    sum = weight * sum + (1 - weight) * value;
    return weight ? sum / (1 - weight ** (n + 1)) : value;
  });
}

/** Round values for the ticks of an axis: about `count` of them between two numbers. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, n) => first + n * step);
}

export class Chart {
  /** `place`: an element with data-curve; `label`: what the chart shows. */
  constructor(place, label) {
    Object.assign(this, { place, label, lines: [], weight: 0, logarithmic: false });
    this.svg = make("svg", { height: HEIGHT, tabindex: 0, role: "img", "aria-label": label });
    this.readout = create("output", { className: "readout note" });
    this.svg.addEventListener("pointermove", (event) => this.point(this.nearest(event)));
    this.svg.addEventListener("pointerleave", () => this.point(null));
    this.svg.addEventListener("blur", () => this.point(null));
    this.svg.addEventListener("keydown", (event) => this.pressed(event));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  /** lines: {name, colour (0 to 3), dashed, points: [[images, value]]} each. */
  show(lines) {
    this.lines = lines.filter((line) => line.points.length);
    const isEmpty = !this.lines.length;
    this.place.querySelector(".none").hidden = !isEmpty;
    if (isEmpty) return this.svg.remove(), this.readout.remove();
    if (!this.svg.isConnected) this.place.append(this.svg, this.readout);
    this.place.dataset.points = Math.max(...this.lines.map((line) => line.points.length));
    this.draw();
  }

  set({ weight, logarithmic }) {
    Object.assign(this, { weight, logarithmic });
    this.draw();
  }

  draw() {
    const width = this.place.clientWidth;
    if (!this.lines.length || !width) return;
    const drawn = this.lines.map((line) => {
      const values = smooth(line.points.map(([, value]) => value), this.weight);
      return { ...line, points: line.points.map(([images], n) => [images, values[n]]) };
    });
    this.drawn = drawn;
    this.scale(drawn, width);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(...this.axes(width), ...drawn.flatMap((line) => this.line(line)));
    this.cursor = make("line", { class: "cursor", y1: EDGE.top, y2: HEIGHT - EDGE.bottom, visibility: "hidden" });
    this.svg.append(this.cursor);
    this.xs = [...new Set(drawn.flatMap((line) => line.points.map(([images]) => images)))].sort((a, b) => a - b);
    const last = drawn.map((line) => `${line.name} ${short.format(line.points.at(-1)[1])}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.label}. ${t("studio.curve.latest", { values: last })}`);
  }

  scale(drawn, width) {
    const images = drawn.flatMap((line) => line.points.map(([x]) => x));
    const values = drawn.flatMap((line) => line.points.map(([, y]) => y)).filter(Number.isFinite);
    const log = this.logarithmic && Math.min(...values) > 0;
    const on = log ? Math.log10 : (y) => y;
    let [low, high] = [on(Math.min(...values)), on(Math.max(...values))];
    if (low === high) [low, high] = [low - (Math.abs(low) / 2 || 0.5), high + (Math.abs(low) / 2 || 0.5)];
    const [least, most] = [Math.min(...images), Math.max(...images)];
    const start = least < most / 2 ? 0 : least; // a run that goes on from another begins late
    this.x = (value) => EDGE.left + ((width - EDGE.left - EDGE.right) * (value - start)) / (most - start || 1);
    this.y = (value) => EDGE.top + (HEIGHT - EDGE.top - EDGE.bottom) * (1 - (on(value) - low) / (high - low));
    this.xTicks = ticks(start, most, width < 420 ? 3 : 5);
    this.yTicks = ticks(low, high, 6).map((tick) => (log ? 10 ** tick : tick));
  }

  axes(width) {
    const horizontal = this.yTicks.flatMap((value) => [
      make("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: this.y(value), y2: this.y(value) }),
      make("text", { x: EDGE.left - 8, y: this.y(value) + 4, "text-anchor": "end" }, short.format(value)),
    ]);
    const vertical = this.xTicks.map((value) =>
      make("text", { x: this.x(value), y: HEIGHT - 8, "text-anchor": "middle" }, compact.format(value)),
    );
    return [...horizontal, ...vertical];
  }

  line({ points, colour, dashed }) {
    const shape = { class: `curve-line c${colour}${dashed ? " dashed" : ""}` };
    if (points.length === 1) {
      const [[x, y]] = points;
      return [make("circle", { ...shape, cx: this.x(x), cy: this.y(y), r: 4 })];
    }
    const path = points.map(([x, y]) => `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`).join(" ");
    return [make("polyline", { ...shape, points: path })];
  }

  nearest(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const distances = this.xs.map((images) => Math.abs(this.x(images) - x));
    return distances.indexOf(Math.min(...distances));
  }

  pressed(event) {
    const last = this.xs.length - 1;
    const here = this.index ?? last + 1;
    const page = Math.max(1, Math.round(last / 10));
    const to = { ArrowLeft: here - 1, ArrowRight: here + 1, PageDown: here - page, PageUp: here + page, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.point(null);
    if (to === undefined) return;
    event.preventDefault();
    this.point(Math.min(last, Math.max(0, to)));
  }

  /** Read the values at one point of the horizontal axis; null: none. */
  point(index) {
    this.index = index;
    this.cursor?.setAttribute("visibility", index === null ? "hidden" : "visible");
    if (index === null) return (this.readout.textContent = "");
    const images = this.xs[index];
    this.cursor.setAttribute("x1", this.x(images));
    this.cursor.setAttribute("x2", this.x(images));
    const values = this.drawn.map((line) => {
      const closest = line.points.reduce((a, b) => (Math.abs(b[0] - images) < Math.abs(a[0] - images) ? b : a));
      return `${line.name} ${short.format(closest[1])}`;
    });
    this.readout.textContent = `${t("studio.images", { n: whole.format(images) })}: ${values.join(" · ")}`;
  }
}

function make(tag, attributes, text = "") {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

export class Charts {
  constructor() {
    this.figures = [...document.querySelectorAll("[data-curve]")];
    this.charts = this.figures.map((figure) => new Chart(figure, figure.dataset.label));
    this.smoothing = byId("smoothing");
    this.logarithmic = byId("logarithmic");
    this.smoothing.value = localStorage.getItem("kao.smoothing") ?? 0;
    this.logarithmic.checked = localStorage.getItem("kao.logarithmic") === "1";
    for (const control of [this.smoothing, this.logarithmic]) control.addEventListener("input", () => this.set());
    this.set();
  }

  set() {
    localStorage.setItem("kao.smoothing", this.smoothing.value);
    localStorage.setItem("kao.logarithmic", this.logarithmic.checked ? "1" : "0");
    const options = { weight: Number(this.smoothing.value), logarithmic: this.logarithmic.checked };
    this.charts.forEach((chart) => chart.set(options));
  }

  /** Load the measurements and draw. One run: a colour for each value; several: one for each run. */
  async load(runs, names = runs) {
    const all = await Promise.all(runs.map(curvesOf));
    this.figures.forEach((figure, place) => {
      const lines = all.flatMap((curves, run) => {
        const { names: values, points } = curves[figure.dataset.curve];
        return values.map((value, n) => ({
          name: runs.length > 1 ? `${names[run]} ${label(value)}` : label(value),
          colour: runs.length > 1 ? run : n,
          dashed: n > 0,
          points: points.map((point) => [point[0], point[n + 1]]),
        }));
      });
      this.charts[place].show(lines);
    });
  }
}

const label = (value) => t(`studio.number.${value}`);
