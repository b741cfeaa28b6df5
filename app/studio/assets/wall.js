// An endless wall of faces from a fixed number of elements: a row that leaves the screen on one side
// is reused on the other side with other seeds.

import { create } from "./page.js";

const MOST = 150; // faces in the document
const GAP = 10;
const CHUNK = 60; // rows by which the wall grows
const LONGEST = 100_000; // rows; browsers cut elements off at some 30 million pixels
const FAST = 4; // pixels per ms; above this speed faces are not loaded
const SIDES = [96, 128, 192, 256];

export class Wall {
  /** `url(seed, size)` gives a face's picture, `link(seed)` its address, `open(seed, link)` opens it. */
  constructor(element, { url, link, open, label }) {
    Object.assign(this, { element, url, link, open, label });
    this.start = 0;
    this.rows = [];
    this.active = 0;
    this.waiting = new Set();
    this.seen = { y: scrollY, at: performance.now() };
    element.addEventListener("click", (event) => this.clicked(event));
    element.addEventListener("keydown", (event) => this.pressed(event));
    element.addEventListener("focusin", (event) => this.focused(event));
    element.addEventListener("load", (event) => event.target.classList.add("here"), true);
    addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(element.parentElement);
    this.height = innerHeight;
    addEventListener("resize", () => innerHeight > this.height && this.measure());
  }

  from(start) {
    this.start = start;
    this.active = 0;
    this.refresh();
  }

  refresh() {
    for (const row of this.rows) this.fill(row, row.index);
  }

  /** Show faces from the seed `start` on; `scroll`: where the page was before a reload, in pixels. */
  begin(start, scroll = 0) {
    this.start = start;
    this.begun = true;
    this.measure();
    if (!scroll || !this.shape) return;
    this.grow(Math.ceil(scroll / this.shape.pitch) + 2 * this.rows.length);
    scrollTo({ top: scroll, behavior: "instant" });
    this.place(true);
  }

  measure() {
    const width = this.element.clientWidth;
    if (!width || !this.begun) return;
    const tall = Math.max(innerHeight, 480);
    let target = width < 600 ? 98 : 132;
    let shape;
    do shape = layout(width, tall, (target *= 1.04));
    while (shape.rows * shape.columns > MOST);
    const same = this.shape && shape.columns === this.shape.columns && shape.rows === this.shape.rows;
    const first = this.shape ? this.first() * this.shape.columns : 0;
    this.shape = shape;
    this.height = innerHeight;
    const pixels = shape.cell * Math.min(devicePixelRatio, 2);
    this.side = SIDES.find((side) => side >= pixels) ?? SIDES.at(-1);
    this.element.style.setProperty("--cell", `${shape.cell}px`);
    this.element.setAttribute("aria-colcount", shape.columns);
    if (!same) this.build();
    this.grow(Math.floor(first / shape.columns) + shape.rows);
    this.place(true);
  }

  build() {
    this.rows = Array.from({ length: this.shape.rows }, (_, index) => {
      const cells = Array.from({ length: this.shape.columns }, cell);
      const element = create("div", { role: "row", className: "wall-row" }, ...cells);
      return { element, index: -1, links: [...element.querySelectorAll("a")] };
    });
    this.element.replaceChildren(...this.rows.map((row) => row.element));
    this.rows.forEach((row, index) => this.fill(row, index));
  }

  first() {
    const above = -this.element.getBoundingClientRect().top;
    const row = Math.floor(above / this.shape.pitch) - this.shape.spare;
    return Math.max(0, Math.min(row, LONGEST - this.shape.rows));
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.place(false);
    });
  }

  place(all) {
    if (!this.shape) return;
    const now = performance.now();
    const speed = Math.abs(scrollY - this.seen.y) / Math.max(1, now - this.seen.at);
    this.seen = { y: scrollY, at: now };
    this.rushing = !all && speed > FAST;
    const first = this.first();
    const shift = first - this.rows[0].index;
    if (Math.abs(shift) >= this.rows.length) this.rows.forEach((row, n) => this.fill(row, first + n));
    else this.turn(shift);
    this.grow(first + 2 * this.rows.length);
    clearTimeout(this.loadTimer);
    if (this.waiting.size) this.loadTimer = setTimeout(() => this.load(), this.rushing ? 120 : 0);
    this.tabbable();
  }

  // Elements keep the order of their rows, for screen readers and the Tab key.
  turn(shift) {
    for (let n = 0; n < shift; n++) {
      const row = this.rows.shift();
      this.element.append(row.element);
      this.rows.push(row);
      this.fill(row, this.rows.at(-2).index + 1);
    }
    for (let n = 0; n > shift; n--) {
      const row = this.rows.pop();
      this.element.prepend(row.element);
      this.rows.unshift(row);
      this.fill(row, this.rows[1].index - 1);
    }
  }

  fill(row, index) {
    row.index = index;
    row.element.style.transform = `translateY(${index * this.shape.pitch}px)`;
    row.element.setAttribute("aria-rowindex", index + 1);
    row.links.forEach((link, column) => {
      const number = index * this.shape.columns + column;
      const seed = String(this.start + number);
      const image = link.firstChild;
      link.dataset.number = number;
      link.href = this.link(seed);
      link.setAttribute("aria-label", this.label(seed));
      image.classList.remove("here");
      image.removeAttribute("src"); // this cancels what is on its way
    });
    this.waiting.add(row);
    clearTimeout(this.loadTimer);
    this.loadTimer = setTimeout(() => this.load(), this.rushing ? 120 : 0);
  }

  load() {
    // Rows nearest to the middle of the screen load first.
    const middle = (innerHeight / 2 - this.element.getBoundingClientRect().top) / this.shape.pitch - 0.5;
    const rows = [...this.waiting].sort((a, b) => Math.abs(a.index - middle) - Math.abs(b.index - middle));
    for (const row of rows) {
      for (const link of row.links) {
        link.firstChild.src = this.url(String(this.start + Number(link.dataset.number)), this.side);
      }
    }
    this.waiting.clear();
  }

  grow(rows) {
    const wanted = Math.min(LONGEST, (Math.ceil(rows / CHUNK) + 1) * CHUNK);
    if (wanted <= (this.count ?? 0) && this.pitched === this.shape.pitch) return;
    this.count = Math.max(wanted, this.count ?? 0);
    this.pitched = this.shape.pitch;
    this.element.style.height = `${this.count * this.shape.pitch}px`;
  }

  // The wall is one tab stop; arrows move within it (WAI-ARIA's grid pattern).
  tabbable() {
    const links = this.rows.flatMap((row) => row.links);
    const visible = this.rows.find((row) => row.element.getBoundingClientRect().top >= 0) ?? this.rows[0];
    const one = links.find((link) => Number(link.dataset.number) === this.active) ?? visible.links[0];
    links.forEach((link) => (link.tabIndex = link === one ? 0 : -1));
  }

  focused(event) {
    const link = event.target.closest("a");
    if (!link) return;
    this.active = Number(link.dataset.number);
    this.tabbable();
  }

  clicked(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.open(String(this.start + Number(link.dataset.number)), link);
  }

  pressed(event) {
    const { columns, rows, spare } = this.shape;
    const page = columns * Math.max(1, rows - 2 * spare - 1);
    const row = this.active - (this.active % columns);
    const to = {
      ArrowRight: this.active + 1,
      ArrowLeft: this.active - 1,
      ArrowDown: this.active + columns,
      ArrowUp: this.active - columns,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: event.ctrlKey ? 0 : row,
      End: row + columns - 1,
    }[event.key];
    if (to === undefined || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (to >= 0) this.go(to);
  }

  go(number) {
    const row = Math.floor(number / this.shape.columns);
    this.active = number;
    this.grow(row + 2 * this.rows.length);
    const top = this.element.getBoundingClientRect().top + row * this.shape.pitch;
    const bottom = top + this.shape.cell - innerHeight;
    if (top < GAP) scrollBy({ top: top - GAP, behavior: "instant" });
    else if (bottom > -GAP) scrollBy({ top: bottom + GAP, behavior: "instant" });
    this.place(false);
    this.element.querySelector(`a[data-number="${number}"]`)?.focus({ preventScroll: true });
  }
}

function layout(width, tall, target) {
  const columns = Math.max(3, Math.floor((width + GAP) / (target + GAP)));
  const cell = (width - GAP * (columns - 1)) / columns;
  const pitch = cell + GAP;
  const spare = 2;
  return { columns, cell, pitch, spare, rows: Math.ceil(tall / pitch) + 1 + 2 * spare };
}

function cell() {
  const image = create("img", { alt: "", decoding: "async", fetchPriority: "low", draggable: false });
  return create("div", { role: "gridcell" }, create("a", { tabIndex: -1 }, image));
}
