"""Every page of the studio: its languages, widths, requests, keyboard and accessibility."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.studio import assets
from tests.browser.studio.types import Enter
from tests.browser.test_budget import MOST_BYTES, MOST_SHIFT, SHIFTS
from tests.browser.types import tab_to
from tests.browser.waits import next_document
from tests.support.kao_up import Up

PLACES = (
    "/studio",
    "/studio/new",
    "/studio/datasets",
    "/studio/datasets/starter",
    "/studio/models",
    "/studio/access",
)

pytestmark = pytest.mark.slow


def test_it_speaks_english_and_chinese(enter: Enter, finished_run: dict[str, Any]) -> None:
    for path in (
        *PLACES,
        f"/studio/runs/{finished_run['id']}",
        f"/studio/models/{finished_run['version']}",
    ):
        page = enter(path, locale="zh-CN")
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        text = page.locator("main").inner_text()
        assert re.search("[\u4e00-\u9fff]", text)
        assert "studio." not in text
    page = enter("/studio", locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


@pytest.mark.parametrize("width", [360, 1600])
def test_no_page_shifts_its_layout_or_loads_from_another_site(
    enter: Enter, up: Up, finished_run: dict[str, Any], width: int
) -> None:
    for path in (
        *PLACES,
        f"/studio/runs/{finished_run['id']}",
        f"/studio/models/{finished_run['version']}",
        f"/models/{finished_run['version']}/card",
    ):
        page = enter("/studio", width=width)
        page.add_init_script(SHIFTS)
        page.goto(path)
        page.wait_for_timeout(1500)
        assert page.evaluate("window.shift") <= MOST_SHIFT, path
        addresses = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
        assert all(name.startswith(f"{up.url}/") for name in addresses)


def test_all_pages_together_fit_the_budget() -> None:
    code = [path for path in assets.FOLDER.glob("*") if path.suffix in (".js", ".css")]
    assert len(code) > 15
    assert sum(path.stat().st_size for path in code) <= MOST_BYTES


@pytest.mark.parametrize("width", [360, 1600])
def test_no_element_is_wider_than_its_page(
    enter: Enter, finished_run: dict[str, Any], width: int
) -> None:
    for path in (
        *PLACES,
        f"/studio/runs/{finished_run['id']}",
        f"/studio/models/{finished_run['version']}",
        f"/models/{finished_run['version']}/card",
    ):
        page = enter(path, width=width)
        page.wait_for_load_state("networkidle") if "/runs/" not in path else None
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_long_names_and_those_written_from_right_to_left_stay_within_the_page(
    enter: Enter, up: Up, finished_run: dict[str, Any]
) -> None:
    run, version = finished_run["id"], finished_run["version"]
    places = (f"/studio/runs/{run}", f"/studio/models/{version}", *PLACES)
    paths = (f"/train/{run}", f"/models/{version}")
    for path in paths:
        text = {"name": "שלום" * 20, "note": "x" * 2000}
        up.client.patch(path, json=text, headers=up.key).raise_for_status()
    try:
        _fits(enter, places)
    finally:
        for path in paths:
            text = {"name": "", "note": ""}
            up.client.patch(path, json=text, headers=up.key).raise_for_status()


def _fits(enter: Enter, paths: tuple[str, ...]) -> None:
    page = enter(paths[0], width=320)
    for path in paths:
        page.goto(path, wait_until="domcontentloaded")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


@pytest.mark.usefixtures("cancel_runs")
def test_a_keyboard_is_enough(enter: Enter, up: Up, dataset: str) -> None:
    page = enter(session=False)
    tab_to(page, "#key")
    page.keyboard.type(up.secret)
    _press_to_load(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    tab_to(page, "a[href='/studio/new']")
    _press_to_load(page)
    tab_to(page, "input[name=preset]")
    _choose(page, "smoke")
    tab_to(page, "#f-minutes")
    page.keyboard.type("30")  # so that it lasts until it is cancelled
    tab_to(page, "#f-dataset")
    page.keyboard.press("Home")
    _choose(page, dataset)
    tab_to(page, "button[type=submit]")
    _press_to_load(page)
    run = page.url.rpartition("/")[2]
    tab_to(page, "#cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#badge")).to_have_text("cancelled", timeout=120_000)
    assert up.run(f"/train/{run}")["recipe"]["dataset"] == dataset


def _choose(page: Page, value: str) -> None:
    """Press the arrow until the control that has the focus has this value."""
    for _ in range(40):
        if page.evaluate("document.activeElement.value") == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"no arrow leads to {value}")


def _press_to_load(page: Page) -> None:
    """Press Enter, and wait for the page that it leads to."""
    with next_document(page):
        page.keyboard.press("Enter")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_violation_of_accessibility(
    enter: Enter, finished_run: dict[str, Any], theme: str
) -> None:
    places = [
        *PLACES,
        f"/studio/runs/{finished_run['id']}",
        f"/studio/models/{finished_run['version']}",
    ]
    places.append(f"/models/{finished_run['version']}/card")
    pages = [enter(path, color_scheme=theme) for path in places]
    pages.append(enter(session=False, color_scheme=theme))
    wrong = []
    for page in pages:
        page.wait_for_load_state("load")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for violation in Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                targets = [node["target"] for node in violation["nodes"][:3]]
                wrong.append((page.url, violation["id"], targets))
    assert wrong == []
