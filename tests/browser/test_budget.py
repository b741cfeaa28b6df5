"""What the playground may cost, and what it may not do."""

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.types import Visit

pytestmark = pytest.mark.slow  # a second each, and some tens of them

# Of script and style, as they are, not as they travel. What draws in the browser (/local) is not
# among them: a page loads it only for readers who tick its switch, and it has limits of its own.
MOST_BYTES = 150_000
MOST_SHIFT = 0.05
SHIFTS = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


def test_scripts_and_styles_fit_the_budget_and_come_from_here(
    visit: Visit, site: str, http: httpx.Client
) -> None:
    page = visit("/")
    expect(page.locator("#wall img.here").first).to_be_attached()
    entries = page.evaluate(
        "performance.getEntriesByType('resource')"
        ".filter(e => e.initiatorType !== 'img').map(e => e.name)"
    )
    code = {name for name in entries if name.endswith((".js", ".css"))}
    assert len(code) > 5
    assert all(name.startswith(f"{site}/assets/") for name in code)
    assert sum(len(http.get(name).content) for name in code) <= MOST_BYTES


@pytest.mark.parametrize("width", [360, 1600])
def test_the_playground_does_not_shift_its_layout(browser: Browser, site: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.add_init_script(SHIFTS)
    page.goto(site, wait_until="domcontentloaded")
    expect(page.locator("#wall img.here").first).to_be_attached()
    for _ in range(5):
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(100)
    page.evaluate("scrollTo(0, 0)")
    page.locator("#open").click()
    expect(page.locator("#picture img")).to_be_attached()
    assert page.evaluate("window.shift") <= MOST_SHIFT
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/?open=1&view=morph", "/?open=1&view=family", "/?lang=zh"])
def test_the_playground_is_accessible(visit: Visit, path: str, scheme: str) -> None:
    page = visit(path, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#wall img.here").first).to_be_attached()
    _sound(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_models_are_accessible(visit: Visit, scheme: str) -> None:
    page = visit("/", color_scheme=scheme, reduced_motion="reduce")
    page.locator("#models-open").click()
    expect(page.locator(".facts dd").first).to_be_attached()
    _sound(page)


def _sound(page: Page) -> None:
    violations = Axe().run(page).response["violations"]
    grave = [
        (row["id"], [node["html"][:120] for node in row["nodes"]][:3])
        for row in violations
        if row["impact"] in ("serious", "critical")
    ]
    assert grave == []


def test_the_description_of_the_api_is_served_from_here(visit: Visit) -> None:
    page = visit("/docs")
    expect(page.locator(".opblock").first).to_be_visible()


def test_the_description_has_the_colours_of_the_page(visit: Visit) -> None:
    page = visit("/docs", color_scheme="light")
    title = page.locator(".swagger-ui .info .title")
    expect(title).to_be_visible()
    dark = title.evaluate("one => getComputedStyle(one).color")
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_class("dark-mode")
    assert title.evaluate("one => getComputedStyle(one).color") != dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_description_is_for_everybody_and_locks_only_what_needs_a_key(
    visit: Visit, scheme: str
) -> None:
    page = visit("/docs", color_scheme=scheme)
    expect(page.locator(".opblock", has_text="/train").first).to_be_visible()
    _sound(page)
    lock = ".authorization__btn"
    assert page.locator(".opblock", has_text="/avatar/random").locator(lock).count() == 0
    assert page.locator(".opblock", has_text="/train/{run}/cancel").locator(lock).count() == 1
