"""Faces drawn by the browser itself: the same pixels, no request, offline, with a broken cache."""

import base64
import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.conftest import PATIENCE
from tests.browser.types import Visit

pytestmark = pytest.mark.slow  # a browser, and seconds each

Pixels = NDArray[np.uint8]
DRAW = """
async ({model, jobs}) => {
  const {LocalFaces} = await import("/local/faces.js");
  const faces = await LocalFaces.open(location.origin + "/", model);
  const pictures = [];
  for (const {seed, size, look} of jobs) {
    const {data} = (await faces.draw(seed, size, look)).image;
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    pictures.push(btoa(text));
  }
  faces.close();
  return pictures;
}
"""
CANVAS = """
one => {
  const {data} = one.getContext("2d").getImageData(0, 0, one.width, one.height);
  let text = "";
  for (const byte of data) text += String.fromCharCode(byte);
  return btoa(text);
}
"""
ADD_PICTURES = """
addresses => Promise.all(addresses.map(address => new Promise(resolve => {
  const image = new Image();
  image.onload = () => resolve(image.naturalWidth);
  image.onerror = () => resolve(0);
  image.src = address;
  image.className = "added";
  document.body.append(image);
})))
"""
POISON = """
async () => {
  const cache = await caches.open("kao-models-1");
  const keys = await cache.keys();
  for (const key of keys) await cache.put(key, new Response("nothing that was ever published"));
  return keys.length;
}
"""
# Moves a slider at each frame until its `moving` is deleted.
MOVE = """
one => {
  one.moving = true;
  let place = 0;
  const step = () => {
    if (!one.moving) return;
    one.value = ((place += 1) % 100) / 100;
    one.dispatchEvent(new Event("input", {bubbles: true}));
    requestAnimationFrame(step);
  };
  step();
}
"""
DELETE = "async () => { for (const name of await caches.keys()) await caches.delete(name); }"
MOST_SCRIPT = 30_000  # bytes of gzip, kernels included
VERSION = re.compile("^[0-9a-f]{64}$")


@pytest.fixture
def visit_offline(browser: Browser, site: str) -> Iterator[Visit]:
    """Like `visit`, but a request that fails, which a browser logs, is no failure of the page."""
    contexts: list[BrowserContext] = []

    def visiting(path: str = "/") -> Page:
        context = browser.new_context(base_url=site)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(path, wait_until="domcontentloaded")
        return page

    yield visiting
    for context in contexts:
        context.close()


def pixels_of(text: str, size: int) -> Pixels:
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(size, size, 4)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]


def fetch_pixels(http: httpx.Client, site: str, **query: Any) -> Pixels:
    answer = http.get(f"{site}/avatar", params={**query, "format": "png"})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def open_local(visit: Visit) -> tuple[Page, str]:
    """The page after its first face, and the version that drew it."""
    page = visit("/local")
    state = page.locator("#state")
    expect(state).to_have_attribute("data-version", VERSION)
    return page, str(state.get_attribute("data-version"))


def let_the_worker_draw(page: Page) -> None:
    """Tick the box, and wait until the service worker answers for this page."""
    page.locator("#here").check()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.evaluate(
        "new Promise(done => navigator.serviceWorker.controller ? done(true)"
        " : navigator.serviceWorker.addEventListener('controllerchange', () => done(true)))"
    )


def test_the_page_shows_the_servers_face(visit: Visit, site: str, http: httpx.Client) -> None:
    page, version = open_local(visit)
    face = pixels_of(page.locator("#face").evaluate(CANVAS), 256)
    assert difference(face, fetch_pixels(http, site, seed="ada", size=256, model=version)) <= 2
    expect(page.locator("#wall canvas")).to_have_count(200)


@pytest.mark.parametrize("model", ["plain", "labelled"])
def test_chromium_draws_the_servers_faces(
    visit: Visit, site: str, http: httpx.Client, labelled_model: str, model: str
) -> None:
    page, version = open_local(visit)
    traits = {"hair": "pink", "smile": "yes"} if model == "labelled" else {}
    version = labelled_model if model == "labelled" else version
    jobs: list[dict[str, Any]] = [
        {"seed": f"{seed}é", "size": size, "look": {"psi": psi, "variant": seed, "traits": traits}}
        for seed, psi in enumerate((0, 0.25, 0.5, 0.75, 1, 1.25, 1.5))
        for size in (64, 128)
    ]
    pictures = page.evaluate(DRAW, {"model": version, "jobs": jobs})
    for job, picture in zip(jobs, pictures, strict=True):
        look = {"psi": job["look"]["psi"], "variant": job["look"]["variant"], **traits}
        face = fetch_pixels(http, site, seed=job["seed"], size=job["size"], model=version, **look)
        assert difference(pixels_of(picture, job["size"]), face) <= 2, job


def test_two_hundred_pictures_are_drawn_without_a_network(visit_offline: Visit) -> None:
    page, version = open_local(visit_offline)
    let_the_worker_draw(page)
    # One picture with a network, so that the worker has loaded the model.
    address = "/avatar?size=64&model=" + version + "&seed="
    assert page.evaluate(ADD_PICTURES, [f"{address}first"]) == [64]
    page.context.set_offline(True)
    widths = page.evaluate(ADD_PICTURES, [f"{address}{seed}" for seed in range(200)])
    assert widths == [64] * 200
    # What the worker leaves to the server needs one, so the network was off indeed.
    assert page.evaluate(ADD_PICTURES, ["/avatar?size=64&seed=1&shape=circle"]) == [0]
    page.context.set_offline(False)


def test_a_picture_of_the_worker_is_the_servers(
    visit: Visit, site: str, http: httpx.Client
) -> None:
    page, version = open_local(visit)
    let_the_worker_draw(page)
    address = f"/avatar?seed=a+b&size=64&psi=0.5&model={version}"
    page.evaluate(ADD_PICTURES, [address])
    text = page.evaluate(
        """() => {
          const image = document.querySelector(".added");
          const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          let text = "";
          for (const byte of context.getImageData(0, 0, 64, 64).data) {
            text += String.fromCharCode(byte);
          }
          return btoa(text);
        }"""
    )
    face = fetch_pixels(http, site, seed="a b", size=64, psi=0.5, model=version)
    assert difference(pixels_of(text, 64), face) <= 1


def test_a_second_visit_works_offline(visit_offline: Visit) -> None:
    page, version = open_local(visit_offline)
    let_the_worker_draw(page)
    page.reload()  # so that the worker keeps the page and its scripts
    expect(page.locator("#state")).to_have_attribute("data-version", version)
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#state")).to_have_attribute("data-version", version)
    expect(page.locator("#wall canvas")).to_have_count(200)
    page.context.set_offline(False)


@pytest.mark.parametrize("breaks", [POISON, DELETE], ids=["poisoned", "deleted"])
def test_a_broken_cache_looks_the_same(visit: Visit, breaks: str) -> None:
    page, version = open_local(visit)
    before = page.locator("#face").evaluate(CANVAS)
    assert page.evaluate(breaks) != 0
    page.reload()
    expect(page.locator("#state")).to_have_attribute("data-version", version)
    assert page.locator("#face").evaluate(CANVAS) == before


def test_a_worker_without_its_model_leaves_pictures_to_the_server(
    visit_offline: Visit, labelled_model: str
) -> None:
    page, _ = open_local(visit_offline)
    let_the_worker_draw(page)

    def refuse(route: Route) -> None:
        route.abort()

    page.context.route(f"**/models/{labelled_model}/browser.json", refuse)
    address = f"/avatar?size=64&model={labelled_model}&hair=pink&seed="
    assert page.evaluate(ADD_PICTURES, [f"{address}{seed}" for seed in range(5)]) == [64] * 5


def test_a_morph_of_the_worker_is_the_servers(visit: Visit, site: str, http: httpx.Client) -> None:
    page, version = open_local(visit)
    let_the_worker_draw(page)
    query = f"from=a&to=b&t=0.25&size=64&model={version}&format=png"
    with page.expect_response(
        lambda answer: "/morph" in answer.url and answer.from_service_worker
    ) as response:
        page.evaluate(ADD_PICTURES, [f"/morph?{query}"])
    drawn_pixels = np.asarray(Image.open(io.BytesIO(response.value.body())).convert("RGB"))
    answer = http.get(f"{site}/morph?{query}")
    assert (
        difference(drawn_pixels, np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")))
        <= 1
    )


def test_a_slider_that_moves_is_followed_without_a_request(
    visit: Visit, labelled_model: str
) -> None:
    page = visit(f"/?model={labelled_model}&open=1&view=morph")
    expect(page.locator("#picture img")).to_be_attached()
    expect(page.locator("#here")).to_be_visible()  # its script listens
    page.locator("#here").evaluate("box => box.click()")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    slider = page.locator("#t")
    # The first preview loads the model; until it comes, the server's pictures do.
    slider.evaluate(MOVE)
    expect(page.locator("#picture canvas")).to_be_attached()
    canvas = page.locator("#picture canvas")
    assert canvas.evaluate("one => [one.width, one.height]") == [16, 16]
    slider.evaluate("one => delete one.moving")
    # At rest the exact picture takes its place.
    expect(canvas).to_have_count(0)
    expect(page.locator("#picture img")).to_have_count(1)


# Draws faces one after the other; each number is the sum of a face's bytes.
DRAW_MANY = """
async count => {
  const {LocalFaces} = await import("/local/faces.js");
  const faces = await LocalFaces.open(location.origin + "/");
  const sums = [];
  for (let seed = 0; seed < count; seed++) {
    const {data} = (await faces.draw(String(seed), 64)).image;
    sums.push(data.reduce((sum, byte) => sum + byte, 0));
  }
  faces.close();
  return sums;
}
"""


def test_a_controlled_page_draws_in_the_service_worker_alone(visit: Visit) -> None:
    page = visit("/")
    alone = page.evaluate(DRAW_MANY, 3)
    let_the_worker_draw(page)
    worker_urls: list[str] = []
    page.on("worker", lambda worker: worker_urls.append(worker.url))
    assert page.evaluate(DRAW_MANY, 3) == alone
    assert worker_urls == []


def test_a_service_worker_that_is_ended_while_it_draws_costs_no_face(visit_offline: Visit) -> None:
    page = visit_offline("/")
    let_the_worker_draw(page)
    expected = page.evaluate(DRAW_MANY, 60)
    devices = page.context.new_cdp_session(page)
    devices.send("ServiceWorker.enable")
    keep = "value => window.sums = value, error => window.sums = String(error)"
    page.evaluate(f"window.sums = null; ({DRAW_MANY})(60).then({keep}); 0")
    for _ in range(2):  # each costs one of three attempts at most
        page.wait_for_timeout(50)
        devices.send("ServiceWorker.stopAllWorkers")
    look = "(function look() { window.sums ? done(window.sums) : setTimeout(look, 50) })()"
    assert page.evaluate(f"new Promise(done => {look})") == expected


@pytest.mark.parametrize(
    "query",
    [
        "model=default&seed=1",
        "seed=1&size=64",
        "shape=circle&seed=1&model=",
        "hair=pink&seed=1&model=",
    ],
)
def test_what_the_worker_does_not_know_comes_from_the_server(
    visit: Visit, labelled_model: str, query: str
) -> None:
    page, _ = open_local(visit)
    let_the_worker_draw(page)
    query = query + labelled_model if query.endswith("=") else query
    assert page.evaluate(ADD_PICTURES, [f"/avatar?{query}"]) != [0]


def test_only_the_scripts_that_draw_may_compile(
    visit: Visit, site: str, http: httpx.Client
) -> None:
    policies = {
        path: http.get(f"{site}{path}").headers["content-security-policy"]
        for path in ("/", "/local", "/local/worker.js", "/local/service.js")
    }
    allowed_paths = {path for path, policy in policies.items() if "wasm-unsafe-eval" in policy}
    assert allowed_paths == {"/local/worker.js", "/local/service.js"}
    assert not any(
        "'unsafe-eval'" in policy or "unsafe-inline" in policy for policy in policies.values()
    )


def test_the_playgrounds_switch_draws_its_pictures_here(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("#wall img.here").first).to_be_attached()
    let_the_worker_draw(page)
    with page.expect_response(
        lambda answer: "seed=somebody" in answer.url and answer.from_service_worker
    ) as response:
        page.locator("#seed").fill("somebody")
    assert response.value.headers["content-type"] == "image/png"
    page.locator("#here").uncheck()
    page.reload()
    expect(page.locator("#here")).not_to_be_checked()


def test_what_draws_stays_small(site: str, http: httpx.Client) -> None:
    for name, most in (("engine", MOST_SCRIPT), ("worker", 1500), ("service", 1500)):
        answer = http.get(f"{site}/local/{name}.js", headers={"Accept-Encoding": "gzip"})
        assert int(answer.headers["content-length"]) <= most, name
