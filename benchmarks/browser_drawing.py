"""Drawing in Chromium: bytes, milliseconds, equality with the server, on the default model.

    python benchmarks/browser_drawing.py [--seeds 1000] [--size 64 --size 256]
        [--rival FOLDER] [--scripts FOLDER]

--size: side in pixels of the faces that are compared; above the network's they are enlarged.
A third of the seeds takes random traits, another third random sliders; psi is spread over 0 to 1.5.
Frames: a morph of the playground with "Drawn here" moves at each frame for five seconds.
--scripts: a folder with another build of clients/js/local, for instance of an earlier commit.
--rival: `node_modules/onnxruntime-web/dist` of an npm install, measured on the same graphs.
"""

import base64
import json
import os
import random
import re
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer
from playwright.sync_api import Page, sync_playwright

from app.local import routes
from models.bootstrap import SHIPPED
from models.bundle import Card, read_card
from models.bundle.generator import Drawer, Pixels
from models.faces import attributes, latents, resizing
from models.settings import Settings
from tests.support.live_app import running

CHUNK = 50  # faces a message
PATIENCE = 120_000  # ms
OPEN = """
async () => {
  const {LocalFaces} = await import("/local/faces.js");
  window.faces = await LocalFaces.open(location.origin + "/");
}
"""
DRAW = """
async jobs => {
  const pictures = [];
  for (const {seed, size, look} of jobs) {
    const {image, milliseconds} = await window.faces.draw(seed, size, look);
    let text = "";
    const rgb = image.data.filter((_, index) => index % 4 !== 3);
    for (let at = 0; at < rgb.length; at += 8192) {
      text += String.fromCharCode(...rgb.subarray(at, at + 8192));
    }
    pictures.push([btoa(text), milliseconds]);
  }
  return pictures;
}
"""
# Moves a slider at each frame; counts frames and the pictures that came.
MOVE = """
seconds => new Promise(done => {
  const slider = document.getElementById("t");
  const put = CanvasRenderingContext2D.prototype.putImageData;
  let frames = 0, pictures = 0;
  CanvasRenderingContext2D.prototype.putImageData = function (...values) {
    pictures += 1;
    return put.apply(this, values);
  };
  const start = performance.now();
  const step = () => {
    const passed = performance.now() - start;
    if (passed > 1000 * seconds) return done([frames / seconds, pictures / seconds]);
    frames += 1;
    slider.value = (passed / 20 % 100) / 100;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    requestAnimationFrame(step);
  };
  step();
})
"""
RIVAL = """
async ({files, latents, layers}) => {
  const start = performance.now();
  const ort = await import("/rival/ort.wasm.min.mjs");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = "/rival/";
  const read = async name => new Uint8Array(await (await fetch(`/rival/${name}`)).arrayBuffer());
  const weights = await read("generator.safetensors");
  const externalData = [{path: "generator.safetensors", data: weights}];
  const open = async name => ort.InferenceSession.create(await read(name), {externalData});
  const [mapping, synthesis] = [await open("mapping.onnx"), await open("synthesis.onnx")];
  const times = [], pictures = [];
  let first = 0;
  for (const z of latents) {
    const before = performance.now();
    const input = new ort.Tensor("float32", Float32Array.from(z), [1, z.length]);
    const {output: w} = await mapping.run({z: input});
    const rows = new Float32Array(layers * w.data.length);
    for (let row = 0; row < layers; row++) rows.set(w.data, row * w.data.length);
    const styles = new ort.Tensor("float32", rows, [1, layers, w.data.length]);
    const {output} = await synthesis.run({w: styles});
    times.push(performance.now() - before);
    first ||= performance.now() - start;
    let text = "";
    for (let at = 0; at < output.data.length; at += 8192) {
      text += String.fromCharCode(...output.data.subarray(at, at + 8192));
    }
    pictures.push(btoa(text));
  }
  return {times, pictures, first};
}
"""


def main(
    seeds: int = 1000,
    size: Annotated[list[int] | None, typer.Option()] = None,
    rival: Annotated[Path | None, typer.Option()] = None,
    scripts: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Print one JSON line for each measurement."""
    if scripts is not None:
        routes.FOLDER = scripts
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(home=home, threads=1, limit_pictures="none", limit_calls="none")
        site = stack.enter_context(running(settings)).url
        playwright = stack.enter_context(sync_playwright())
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        version = httpx.get(f"{site}/models", trust_env=False).json()["aliases"]["default"]
        folder = SHIPPED / version
        drawer = Drawer(folder, Card.model_validate(read_card(folder)), 1)
        report_start(browser.new_page(), site)
        for side in size or [drawer.card.network.resolution]:
            report_equality(browser.new_page(), site, drawer, seeds, side)
        report_frames(browser.new_page(), site)
        if rival is not None:
            report_rival(browser.new_page(), site, drawer, folder, rival)
        browser.close()


def report_start(page: Page, site: str) -> None:
    """A cold visit of /local: bytes, the first face, the memory."""
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    httpx.get(f"{site}/models/default/browser.json", trust_env=False, timeout=60)  # packs once
    page.goto(f"{site}/local")
    state = page.locator("#state")
    for _ in range(600):
        text = state.text_content() or ""
        if "Then" in text or "not draw" in text:
            break
        time.sleep(0.1)
    print(json.dumps({"page": text, "bytes": sum(sizes), "answers": len(sizes)}), flush=True)


def report_equality(page: Page, site: str, drawer: Drawer, seeds: int, size: int) -> None:
    """Random looks here and there, at one size in pixels."""
    page.goto(f"{site}/local")
    page.evaluate(OPEN)
    counts, times = np.zeros(256, np.int64), []
    jobs = [job(seed, drawer.card, size) for seed in range(seeds)]
    for start in range(0, seeds, CHUNK):
        chunk = jobs[start : start + CHUNK]
        pictures = page.evaluate(DRAW, chunk)
        times += [milliseconds for _, milliseconds in pictures]
        for each, (text, _) in zip(chunk, pictures, strict=True):
            rgb = np.frombuffer(base64.b64decode(text), np.uint8).reshape(size, size, 3)
            difference = np.abs(rgb.astype(int) - draw(drawer, each))
            counts += np.bincount(difference.ravel(), minlength=256)
    page.close()
    differences = {int(step): int(counts[step]) for step in np.flatnonzero(counts)}
    line = {"size": size, "seeds": seeds, "values apart by": differences}
    print(json.dumps({**line, **summary(times)}), flush=True)


def report_frames(page: Page, site: str) -> None:
    """Frames and pictures a second while a morph of the playground moves."""
    page.set_default_timeout(PATIENCE)
    page.goto(site)
    page.locator("#here").check()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{site}/?open=1&view=morph")
    page.wait_for_selector("#picture img", state="attached")
    page.evaluate(MOVE, 1)  # loads the model
    frames, pictures = page.evaluate(MOVE, 5)
    line = {"frames a second": round(frames, 1), "pictures a second": round(pictures, 1)}
    print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)
    page.close()


def report_rival(page: Page, site: str, drawer: Drawer, folder: Path, rival: Path) -> None:
    """onnxruntime-web on the same graphs, from the same origin."""

    def answer(route: Any) -> None:
        name = re.sub(r".*/rival/", "", route.request.url).split("?")[0]
        path = next(place / name for place in (rival, folder) if (place / name).exists())
        media = {".mjs": "text/javascript", ".wasm": "application/wasm"}
        kind = media.get(path.suffix, "application/octet-stream")
        route.fulfill(body=path.read_bytes(), content_type=kind)

    page.route("**/rival/**", answer)
    page.route(
        "**/blank", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    page.goto(f"{site}/blank")
    network = drawer.card.network
    z = latents.derive_all(map(str, range(64)), network.latent)
    values = {"files": [], "latents": z.tolist(), "layers": network.layers}
    result = page.evaluate(RIVAL, values)
    faces = drawer.draw(z, 1.0).astype(int)
    rival_pixels = [np.frombuffer(base64.b64decode(text), np.uint8) for text in result["pictures"]]
    difference = np.abs(np.stack(rival_pixels).reshape(faces.shape) - faces)
    counts = {int(step): int((difference == step).sum()) for step in np.unique(difference)}
    line = {"rival first face": result["first"], "values apart by": counts}
    print(json.dumps({**line, **summary(result["times"])}), flush=True)


def job(seed: int, card: Card, size: int) -> dict[str, Any]:
    """A seed's look, the same in every run."""
    generator = random.Random(seed)
    look: dict[str, Any] = {"psi": round(generator.uniform(0, 1.5), 2), "traits": {}}
    if seed % 3 == 1:
        look["traits"] = {each.name: generator.choice(each.available) for each in card.traits}
    if seed % 3 == 2:
        look["traits"] = {each.name: round(generator.uniform(-1, 1), 2) for each in card.sliders}
    return {"seed": f"{seed}", "size": size, "look": look}


def draw(drawer: Drawer, each: dict[str, Any]) -> Pixels:
    """A job as the server draws it: (size, size, 3)."""
    traits, length = each["look"]["traits"], drawer.card.network.latent
    z = attributes.select(
        latents.derive(each["seed"], length)[None], drawer.card.attributes, traits
    )
    w = drawer.truncate(drawer.styles(z), each["look"]["psi"], z)
    values = {name: value for name, value in traits.items() if isinstance(value, float)}
    w = drawer.steer(w, values)
    face = drawer.synthesise(np.repeat(w[:, None], drawer.rows, axis=1))
    (large_face,) = drawer.enlarge(face, each["size"])
    return np.asarray(resizing.resize(large_face, each["size"]))


def summary(times: list[float]) -> dict[str, float]:
    """Milliseconds of drawing."""
    return {"best ms": round(min(times), 2), "median ms": round(float(np.median(times)), 2)}


if __name__ == "__main__":
    typer.run(main)
