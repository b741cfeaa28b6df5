"""The main flows in Firefox, where it is installed: what other tests do in Chromium alone."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import firefox
from tests.browser.conftest import KEY, Reporter
from tests.browser.firefox import Firefox

pytestmark = pytest.mark.slow  # some seconds each

SHOWN = "document.querySelector('#face').dataset.shown"
PATHS = (
    *("/", "/?open=1", "/team?names=Ada", "/docs", "/nonsense", "/local"),
    *("/studio", "/studio/new", "/studio/datasets", "/studio/datasets/starter"),
    *("/studio/models", "/studio/compare", "/studio/access"),
)
REFLOWS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def running_firefox() -> Iterator[Firefox]:
    """One Firefox for all of these tests."""
    path = firefox.program()
    if path is None:
        pytest.skip("no Firefox here: `apt-get install firefox-esr`")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Firefox(path, Path(profile))
        yield browser
        browser.close()


@pytest.fixture
def browser(running_firefox: Firefox, site: str) -> Iterator[Firefox]:
    """Firefox without cookies; a script that fails on a page fails the test."""
    running_firefox.open(f"{site}/robots.txt")
    running_firefox.forget_errors()
    running_firefox.call("WebDriver:DeleteAllCookies")
    running_firefox.resize(1280, 900)
    yield running_firefox
    assert running_firefox.errors(site) == []


def log_in(browser: Firefox, site: str) -> None:
    browser.open(f"{site}/studio")
    browser.write("#key", KEY)
    browser.click_to_load("#login [type=submit]")
    assert browser.run("return Boolean(document.querySelector('.tabs'))")


def test_a_face_is_typed_customised_and_found_on_the_wall(browser: Firefox, site: str) -> None:
    browser.open(f"{site}/")
    browser.until(SHOWN)
    browser.write("#seed", "Ada")
    browser.until(f"{SHOWN}.includes('seed=Ada&')")
    browser.until("document.querySelector('#embed').textContent.includes('seed=Ada')")
    browser.until("document.querySelectorAll('#wall img.here').length > 10")
    browser.click("#open")
    browser.until("document.querySelector('#picture').dataset.shown?.includes('seed=Ada&')")
    browser.click("#next")
    browser.until("!document.querySelector('#picture').dataset.shown.includes('seed=Ada&')")
    browser.click("#detail-close")
    browser.until("!document.querySelector('dialog[open]')")


def test_the_theme_changes_every_colour(browser: Firefox, site: str) -> None:
    browser.open(f"{site}/")
    paper = "return getComputedStyle(document.documentElement).backgroundColor"
    light = browser.run(paper)
    browser.click("#theme")
    dark = browser.run(paper)
    assert {light, dark} == {"rgb(251, 250, 247)", "rgb(20, 19, 21)"}


def test_a_team_gets_its_faces(browser: Firefox, site: str) -> None:
    browser.open(f"{site}/team?names=Ada%0AGrace%0AAlan")
    browser.until("document.querySelectorAll('#team img').length === 3")
    browser.until("!document.querySelector('#zip').disabled")


def test_a_run_is_watched_and_a_model_chosen(
    browser: Firefox, site: str, labelled_model: str, start_run: Callable[..., Reporter]
) -> None:
    run = start_run()
    run.progress(80)
    run.progress(160)
    log_in(browser, site)
    browser.open(f"{site}/studio/runs/{run.id}")
    browser.until("document.querySelectorAll('[data-curve=losses] polyline').length === 2")
    run.progress(240)
    browser.until("document.querySelector('[data-number=images]').textContent === '240'")
    run.fail("planted")
    browser.until("document.querySelector('#badge').textContent === 'failed'")
    browser.open(f"{site}/studio/models/{labelled_model}")
    browser.click("#promote")
    browser.until("document.querySelector('#confirm').open")
    browser.click("#confirm-cancel")
    browser.open(f"{site}/studio/new")
    browser.until("document.querySelector('#start-run').textContent.includes('modern-64')")


@pytest.mark.parametrize("width", [320, 390])
def test_pages_fit_a_phone(browser: Firefox, site: str, labelled_model: str, width: int) -> None:
    log_in(browser, site)
    browser.narrow(width)
    wide = []
    try:
        for path in (*PATHS, f"/studio/models/{labelled_model}", f"/models/{labelled_model}/card"):
            browser.open(f"{site}{path}")
            browser.until("document.querySelector('h1, h2')")
            assert browser.run("return innerWidth") == width
            if not browser.run(f"return {REFLOWS}"):
                wide.append(path)
    finally:
        browser.narrow(None)
    assert wide == []
