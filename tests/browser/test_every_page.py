"""Every page, and every dialog of one, in both themes and languages, at all widths, on paper."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
)

from tests.browser.conftest import KEY, PATIENCE, Reporter
from tests.browser.waits import until

pytestmark = pytest.mark.slow  # some forty pages each

LANGUAGES = pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])
# Pixels; 640 × 400 is a screen of 1280 × 800 at 200 % (WCAG 1.4.4), 320 × 256 at 400 % (1.4.10).
SIZES = [(320, 256), (390, 844), (640, 400), (768, 1024), (844, 390), (1440, 900), (2560, 1440)]
TALLEST = 8  # printed pages
OPEN_DETAILS = "document.querySelectorAll('details').forEach(one => one.open = true)"
# What a reader must scroll sideways for: the page itself, or what lies outside of the window.
CUT = """
[...document.querySelectorAll('html, dialog[open], dialog[open] *, main > *')]
  .filter(one => one.offsetWidth && !one.closest('.sr, pre, .scroll, .code-line, .segments'))
  .filter(one => {
    const {left, right} = one.getBoundingClientRect();
    const page = one === document.documentElement ? one.scrollWidth : 0;
    return left < -1 || Math.max(right, page) > innerWidth + 1;
  }).map(one => one.outerHTML.slice(0, 80))
"""
MOVES = "document.getAnimations().filter(one => one.effect.getTiming().duration > 10).length"


@dataclass(frozen=True)
class Place:
    """A page, as a reader with a session or without; `click`: what opens its dialog."""

    path: str
    session: bool = True
    click: str = ""

    def open(self, page: Page) -> None:
        """Open it with all that it hides, and wait for what its script adds."""
        page.goto(self.path, wait_until="domcontentloaded")
        expect(page.locator("h1, h2").first).to_be_attached()
        if "/docs" in self.path:
            expect(page.locator(".opblock").first).to_be_visible()
        if self.click:
            page.locator(self.click).click()
            expect(page.locator("dialog[open]")).to_be_visible()
        page.evaluate(OPEN_DETAILS)


@pytest.fixture
def places(labelled_model: str, start_run: Callable[..., Reporter]) -> list[Place]:
    """All pages, the login first, with runs that are live, failed and compared."""
    live, failed = start_run(images=800), start_run(images=1600)
    for images in (80, 160):
        live.progress(images)
        failed.progress(images)
    live.report("run.measured", images=160, fd=80.5, samples=1000)
    failed.fail("planted")
    model = f"?model={labelled_model}"
    public = [
        *("/", f"/{model}&open=1", f"/{model}&open=1&view=morph", f"/{model}&open=1&view=mix"),
        *(f"/{model}&open=1&view=family&with=ada.lovelace@example.com", "/team", "/docs"),
        *("/team?names=Ada%0Ada.lovelace@example.com", "/nonsense", "/avatar?size=abc", "/local"),
        f"/models/{labelled_model}/card",
    ]
    studio = [
        *("", "?q=none", "/new", "/datasets", "/datasets/starter", "/models", "/access"),
        *(f"/models/{labelled_model}", f"/runs/{live.id}", f"/runs/{failed.id}", "/runs/none"),
        *("/compare", f"/compare?run={live.id}&run={failed.id}"),
    ]
    return [
        Place("/studio", session=False),
        *(Place(path, session=False) for path in public),
        Place("/", session=False, click="#models-open"),
        *(Place(f"/studio{path}") for path in studio),
        Place(f"/studio/models/{labelled_model}", click="#promote"),
    ]


Visits = Callable[..., Iterator[tuple[Place, Page]]]


@pytest.fixture
def visits(browser: Browser, site: str, places: list[Place]) -> Iterator[Visits]:
    """Open one place after the other, in one profile; options of the browser as keywords."""
    contexts: list[BrowserContext] = []

    def visiting(
        width: int = 1280, height: int = 800, **options: Any
    ) -> Iterator[tuple[Place, Page]]:
        size = ViewportSize(width=width, height=height)
        context = browser.new_context(base_url=site, viewport=size, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page, has_session = context.new_page(), False
        for place in places:
            if place.session and not has_session:
                headers = {"Origin": site}
                assert context.request.post("/session", data={"key": KEY}, headers=headers).ok
                has_session = True
            place.open(page)
            yield place, page

    yield visiting
    for context in contexts:
        context.close()


@LANGUAGES
@THEMES
@pytest.mark.timeout(600)
def test_no_page_has_a_serious_violation(visits: Visits, theme: str, language: str) -> None:
    violations = [
        (place.path, place.click, row["id"], [node["html"][:120] for node in row["nodes"][:3]])
        for place, page in visits(color_scheme=theme, locale=language, reduced_motion="reduce")
        for row in Axe().run(page).response["violations"]
        if row["impact"] in ("serious", "critical")
    ]
    assert violations == []


@LANGUAGES
@pytest.mark.timeout(600)
def test_no_page_scrolls_sideways_at_any_width(visits: Visits, language: str) -> None:
    for place, page in visits(locale=language, reduced_motion="reduce"):
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            until(page, f"innerWidth === {width}")
            # Charts and dialogs follow the new size some frames later.
            until(page, f"!{CUT}.length", f"{place} is cut off at {width} pixels")
        page.set_viewport_size({"width": 1280, "height": 800})


def test_a_printed_page_is_dark_on_white_whole_and_short(visits: Visits) -> None:
    defects = []
    for place, page in visits(color_scheme="dark", width=720, height=1000):
        if place.click or "open=1" in place.path:
            continue  # a dialog is not printed by itself
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        page.emulate_media(media="print")
        ink = page.evaluate("getComputedStyle(document.documentElement).color")
        if max(map(int, re.findall(r"\d+", ink))) > 100:
            defects.append((place.path, f"ink is {ink}"))
        for control in ("header.top", "main .button", "nav.tabs"):
            if any(one.is_visible() for one in page.locator(control).all()):
                defects.append((place.path, f"{control} is printed"))
        if page.evaluate("document.documentElement.scrollWidth") > 720:
            defects.append((place.path, "its right side is cut"))
        count = len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4")))
        if not 1 <= count <= TALLEST:
            defects.append((place.path, f"{count} pages"))
        page.emulate_media(media="screen")
    assert defects == []


def test_forced_colours_show_what_is_chosen(visits: Visits) -> None:
    """A weight or a ground alone is lost there; an outline in a system's colour is not."""
    look = """selector => [...document.querySelectorAll(selector)]
      .filter(one => one.offsetWidth)
      .filter(one => getComputedStyle(one).outlineStyle !== "solid")
      .map(one => one.outerHTML.slice(0, 80))"""
    chosen = ".segments :checked + span, [aria-current], [aria-pressed=true]"
    hidden = []
    for place, page in visits(forced_colors="active", reduced_motion="reduce"):
        if place.path not in ("/docs", "/local"):
            hidden += [(place.path, html) for html in page.evaluate(look, chosen)]
        for bar in page.locator("progress").all():
            if bar.is_visible():
                assert bar.evaluate("one => getComputedStyle(one).forcedColorAdjust") == "none"
    assert hidden == []


def test_reduced_motion_stops_all_animations(visits: Visits) -> None:
    for place, page in visits(reduced_motion="reduce"):
        assert page.evaluate(MOVES) == 0, place
