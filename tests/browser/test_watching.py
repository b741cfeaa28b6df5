"""The page of a run while it trains: the test reports what a worker would."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reporter

pytestmark = pytest.mark.slow  # a second each, and some tens of them

Visit = Callable[..., Page]
StartRun = Callable[..., Reporter]


def test_curves_are_drawn_again_after_progress(visit: Visit, start_run: StartRun) -> None:
    run = start_run()
    run.progress(80)
    run.progress(160)
    page = visit(f"/studio/runs/{run.id}", session=True)
    curve = page.locator("[data-curve=losses]")
    expect(curve).to_have_attribute("src", re.compile("^blob:"))
    first = curve.get_attribute("src")
    with page.expect_response(re.compile("curves.svg.*of=losses")) as drawing:
        run.progress(240)
    assert drawing.value.status == 200
    expect(curve).not_to_have_attribute("src", str(first))
