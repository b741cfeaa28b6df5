"""The form of a new run: until one is chosen by hand, the dataset's pictures choose the preset."""

import io
import re
import zipfile
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import KEY
from tests.browser.types import Visit
from tests.support.drawings import draw_photograph

pytestmark = pytest.mark.slow  # a second each, and some tens of them


@pytest.fixture
def photographs(site: str, http: httpx.Client) -> Iterator[str]:
    """The name of a dataset whose pictures have shading."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number in range(3):
            picture = io.BytesIO()
            draw_photograph(number).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue())
    key = {"Authorization": f"Bearer {KEY}"}
    address = f"{site}/datasets"
    answer = http.post(f"{address}?name=photographs", content=body.getvalue(), headers=key)
    assert answer.status_code == 201, answer.text
    yield "photographs"
    assert http.delete(f"{address}/photographs", headers=key).is_success


def _choose_dataset(page: Page, name: str) -> None:
    page.locator("[data-name=dataset]").select_option(name)


def test_the_preset_follows_the_dataset(visit: Visit, photographs: str) -> None:
    page = visit("/studio/new", session=True)
    start = page.locator("#start-run")
    expect(start).to_have_text("Start · modern-64-flat · 60 minutes · starter")
    expect(page.locator("#fit")).to_contain_text("“starter” is flat")
    _choose_dataset(page, photographs)
    expect(start).to_have_text(f"Start · modern-64 · 60 minutes · {photographs}")
    expect(page.locator("#fit")).to_contain_text(f"“{photographs}” has shaded pictures")
    expect(page.locator("[data-name=discriminator_width]")).to_have_value("16")
    page.get_by_label("images", exact=True).fill("5000")
    _choose_dataset(page, "starter")
    expect(start).to_have_text("Start · modern-64-flat · 5000 images · starter")


def test_a_preset_that_was_chosen_by_hand_stays(visit: Visit, photographs: str) -> None:
    page = visit("/studio/new", session=True)
    page.get_by_role("radio", name=re.compile("smoke")).check()
    expect(page.locator("#fit")).to_have_count(0)
    _choose_dataset(page, photographs)
    expect(page.locator("#start-run")).to_have_text(re.compile(rf"Start · smoke .* {photographs}"))
