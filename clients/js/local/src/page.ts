/** The page /local: a face that follows its controls, and two hundred small ones. */

import { drawPicturesHere, drawPicturesThere, LocalFaces } from "./faces.js";

const WALL = 200;
const SIDE = 64; // pixels of a small face
const server = new URL("./", location.href).href;

function element<Kind extends HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

const [state, canvas, wall] = [element("state"), element<HTMLCanvasElement>("face"), element("wall")];
const [seed, psi] = [element<HTMLInputElement>("seed"), element<HTMLInputElement>("psi")];
const here = element<HTMLInputElement>("here");

/** Draw the newest state of the controls, one at a time. */
function follow(faces: LocalFaces): () => Promise<void> {
  let [isDrawing, isStale] = [false, false];
  return async () => {
    isStale = true;
    if (isDrawing) return;
    isDrawing = true;
    while (isStale) {
      isStale = false;
      const { image, milliseconds } = await faces.draw(seed.value, canvas.width, { psi: Number(psi.value) });
      canvas.getContext("2d")?.putImageData(image, 0, 0);
      canvas.dataset.seed = seed.value;
      canvas.title = `${milliseconds.toFixed(1)} ms`;
    }
    isDrawing = false;
  };
}

async function fillWall(faces: LocalFaces): Promise<void> {
  const start = performance.now();
  let next = faces.draw("0", SIDE);
  for (let number = 0; number < WALL; number++) {
    const { image } = await next;
    if (number + 1 < WALL) next = faces.draw(String(number + 1), SIDE);
    const small = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    small.getContext("2d")?.putImageData(image, 0, 0);
    wall.append(small);
  }
  const each = (performance.now() - start) / WALL;
  state.textContent += ` Then ${each.toFixed(1)} ms a face.`;
}

async function show(): Promise<void> {
  const faces = await LocalFaces.open(server);
  const draw = follow(faces);
  await draw();
  const memory = (faces.memory / 2 ** 20).toFixed(0);
  state.textContent =
    `Model ${faces.version.slice(0, 8)}, ${memory} MiB. First face after ${performance.now().toFixed(0)} ms.`;
  state.dataset.version = faces.version;
  seed.addEventListener("input", () => void draw());
  psi.addEventListener("input", () => void draw());
  await fillWall(faces);
}

here.addEventListener("change", () => {
  void (here.checked ? drawPicturesHere(server) : drawPicturesThere(server));
});
void navigator.serviceWorker?.getRegistration(server).then((registration) => {
  here.checked = registration !== undefined;
});
show().catch((error: unknown) => {
  state.textContent = `This browser does not draw this model; the server does. (${String(error)})`;
});
