"""`<kao-face>` in a real browser, on a page of another site than the server's."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.node_package import build_package

pytestmark = pytest.mark.slow

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The element as the package has it."""
    folder = tmp_path_factory.mktemp("dist")
    build_package(folder)
    return (folder / "face.js").read_text()


@pytest.fixture
def page_of(browser: Browser, site: str, script: str) -> Iterator[Open]:
    """Open a page with this content and the element, from another origin than the server's.

    From a socket: a browser lets a page that Playwright fulfils ask no server of this machine.
    """
    html = ""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_script = self.path == "/face.js"
            kind = "text/javascript" if is_script else "text/html; charset=utf-8"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write((script if is_script else html).encode())

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    def opening(body: str, lang: str = "en", before: Callable[[Page], None] | None = None) -> Page:
        nonlocal html
        html = f'<!doctype html><html lang="{lang}"><title>x</title><script type="module">'
        html += f'import {{ KaoFace }} from "/face.js"; KaoFace.server = "{site}/";</script>{body}'
        page = context.new_page()
        if before is not None:
            before(page)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        return page

    context = browser.new_context(device_scale_factor=2)
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield opening
        context.close()
        server.shutdown()


def test_ten_faces_are_shown_with_a_text_of_what_they_show(
    page_of: Open, labelled_model: str
) -> None:
    faces = "".join(f'<kao-face seed="{n}" model="{labelled_model}"></kao-face>' for n in range(10))
    page = page_of(faces)
    for number in range(10):
        image = page.locator("kao-face img").nth(number)
        expect(image).to_have_class("here")
        assert "&dpr=2" in image.evaluate("image => image.currentSrc")  # two device pixels
        expect(image).to_have_attribute("alt", re.compile("^hair: (black|pink|green)"))
    # What a screen reader reads, through the shadow root.
    names = [image.get_attribute("alt") for image in page.get_by_role("img").all()]
    assert len(names) == 10
    expect(page.get_by_role("img", name="hair:").first).to_be_visible()


def test_a_trait_is_an_attribute_and_the_text_follows_the_language(
    page_of: Open, labelled_model: str
) -> None:
    page = page_of(
        f'<kao-face seed="a" model="{labelled_model}" hair="pink"></kao-face>', lang="zh-CN"
    )
    image = page.locator("kao-face img")
    expect(image).to_have_attribute("alt", re.compile("hair：pink"))
    assert "hair=pink" in str(image.get_attribute("src"))
    page.locator("kao-face").evaluate("face => face.setAttribute('hair', 'green')")
    expect(image).to_have_attribute("alt", re.compile("hair：green"))
    expect(image).to_have_attribute("src", re.compile("hair=green"))


def test_what_every_element_has_is_no_parameter(page_of: Open) -> None:
    own = (
        'itemprop="image" spellcheck="false" x-data="{}" hx-get="/" v-cloak _ngcontent-a @click="x"'
    )
    page = page_of(f'<kao-face seed="ada" size="12" {own}></kao-face>')
    face = page.locator("kao-face")
    expect(face.locator("img")).to_have_class("here")
    assert face.evaluate("face => face.address()").endswith("/avatar?seed=ada&size=16")
    assert face.evaluate("face => face.getBoundingClientRect().width") == 12


def test_a_given_text_is_kept_and_nothing_else_is_fetched(page_of: Open) -> None:
    requests: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: requests.append(request.url))

    page = page_of('<kao-face seed="ada" alt="Ada Lovelace" size="32"></kao-face>', before=watch)
    expect(page.locator("kao-face img")).to_have_class("here")
    assert page.get_by_role("img", name="Ada Lovelace").count() == 1
    assert not [url for url in requests if "format=json" in url]


def test_initials_stand_in_while_no_server_answers(page_of: Open) -> None:
    is_down = True

    def block(page: Page) -> None:
        def decide(route: Route) -> None:
            route.abort() if is_down else route.continue_()

        page.route(re.compile("/avatar"), decide)

    seeds = {"Ada Lovelace": "AL", "grace.hopper@navy.mil": "GH", "顔": "顔", "👩‍💻x": "👩‍💻"}
    body = "".join(f'<kao-face seed="{seed}"></kao-face>' for seed in seeds)
    page = page_of(body, before=block)
    for number, letters in enumerate(seeds.values()):
        face = page.locator("kao-face").nth(number)
        expect(face.locator("span")).to_have_text(letters)
        expect(face.locator("span")).to_be_visible()
        expect(face.locator("img")).not_to_have_class("here")
        assert face.evaluate("face => face.getBoundingClientRect().width") == 64
    is_down = False
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("kao-face img.here")).to_have_count(len(seeds))
    expect(page.locator("kao-face span").first).to_be_hidden()


def test_faces_far_below_the_window_wait(page_of: Open) -> None:
    page = page_of(
        '<kao-face seed="near"></kao-face><div style="height: 20000px"></div>'
        '<kao-face seed="far"></kao-face>'
    )
    expect(page.locator("kao-face img").first).to_have_class("here")
    expect(page.locator("kao-face img").last).not_to_have_class("here")
    page.locator("kao-face").last.scroll_into_view_if_needed()
    expect(page.locator("kao-face img").last).to_have_class("here")


def test_a_hostile_seed_stays_text(page_of: Open) -> None:
    page = page_of("<main></main>")
    seed = '"><img src=x onerror=alert(1)>&seed=other#?'
    page.evaluate(
        "seed => { const face = document.createElement('kao-face');"
        " face.setAttribute('seed', seed); document.querySelector('main').append(face); }",
        seed,
    )
    image = page.locator("kao-face img")
    expect(image).to_have_class("here")
    read = "face => new URL(face.address()).searchParams.get('seed')"
    assert page.locator("kao-face").evaluate(read) == seed


def test_a_local_face_is_drawn_without_a_request_for_it(page_of: Open, labelled_model: str) -> None:
    addresses: list[str] = []

    def watch(page: Page) -> None:
        page.on("request", lambda request: addresses.append(request.url))

    face = f'<kao-face local seed="ada" size="32" model="{labelled_model}" hair="pink"></kao-face>'
    page = page_of(face, before=watch)
    image = page.locator("kao-face img")
    expect(image).to_have_class("here")
    expect(image).to_have_attribute("src", re.compile("^data:image/png"))
    assert image.evaluate("image => image.naturalWidth") == 64  # two device pixels each
    assert any(address.endswith("/local/faces.js") for address in addresses)
    assert not [address for address in addresses if "/avatar" in address]


@pytest.mark.parametrize(
    "attributes", ['backdrop="ff0000" shape="circle"', 'model="latest" age="1"']
)
def test_a_local_face_that_the_engine_does_not_know_comes_from_the_server(
    page_of: Open, attributes: str
) -> None:
    page = page_of(f'<kao-face local seed="ada" {attributes}></kao-face>')
    image = page.locator("kao-face img")
    expect(image).to_have_attribute("src", re.compile("/avatar"))
