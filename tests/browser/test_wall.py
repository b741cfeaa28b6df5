"""The wall: without an end, and never heavy."""

import re

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.browser.types import Visit, attribute_of
from tests.browser.waits import until

pytestmark = pytest.mark.slow  # a second each, and some tens of them

WALL = "#wall a"
MOST = 150


@pytest.mark.parametrize(("width", "height"), [(360, 760), (1600, 900), (2560, 1440)])
def test_five_thousand_faces_are_at_most_150_elements(
    visit: Visit, width: int, height: int
) -> None:
    page = visit("/", width=width, height=height)
    expect(page.locator(WALL).first).to_be_attached()
    counts, last = [], 0
    while last < 5000:
        page.evaluate("scrollBy({top: 6000, behavior: 'instant'})")
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        counts.append(page.locator(WALL).count())
        last = int(attribute_of(page.locator(WALL).last, "data-number"))
        assert len(counts) < 800
    assert max(counts) <= MOST
    numbers = page.evaluate("[...document.querySelectorAll('#wall a')].map(a => +a.dataset.number)")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_faces_on_the_screen_are_the_seeds_of_their_places(visit: Visit) -> None:
    page = visit("/?wall=700")
    page.mouse.wheel(0, 2500)
    face = page.locator("#wall img.here").nth(30)
    expect(face).to_be_attached()
    number, address = face.evaluate("image => [image.parentNode.dataset.number, image.src]")
    assert f"seed={700 + int(number)}&" in address


def test_faces_on_the_screen_come_first(visit: Visit) -> None:
    page = visit("about:blank")
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/")
    expect(page.locator("#wall img.here").first).to_be_attached()
    first = next(url for url in addresses if re.search(r"/avatar\?seed=\d", url))
    assert "seed=0&" in first


def test_pictures_that_scroll_away_are_cancelled(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator("#wall img.here").first).to_be_attached()
    waiting: list[Route] = []
    failures: list[str | None] = []
    page.route("**/avatar?*", lambda route: waiting.append(route))  # the server never answers
    page.on("requestfailed", lambda request: failures.append(request.failure))
    page.evaluate("scrollTo({top: 9000, behavior: 'instant'})")
    until(page, lambda: len(waiting) > 5)
    page.evaluate("scrollTo({top: 90000, behavior: 'instant'})")
    until(page, lambda: len(failures) > 5)
    assert set(failures) == {"net::ERR_ABORTED"}
    page.unroute_all(behavior="ignoreErrors")


def test_faces_may_be_cached_for_ever(visit: Visit, http: httpx.Client) -> None:
    page = visit("/")
    expect(page.locator("#wall img.here").first).to_be_attached()
    address = page.locator("#wall img.here").first.evaluate("image => image.src")
    first = http.get(address)
    assert first.headers["cache-control"].endswith("immutable")
    again = http.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_other_faces_keep_the_place(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator(WALL).first).to_be_attached()
    page.locator("#shuffle").click()
    expect(page.locator(WALL).first).not_to_have_attribute("href", "/?seed=0&open=1")
    assert page.evaluate("scrollY") < 800
