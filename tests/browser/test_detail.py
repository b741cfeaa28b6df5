"""The dialog of one face: what is typed never breaks it, and the keyboard reaches all of it."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.types import PictureOf, Visit

pytestmark = pytest.mark.slow  # a second each, and some tens of them

CONTROLS = ".detail button, .detail input, .detail select, .detail a"
OUTSIDE = f"""[...document.querySelectorAll('{CONTROLS}')]
    .filter(one => one.offsetWidth && !one.closest('.segments'))
    .filter(one => {{
      const dialog = document.querySelector('.detail').getBoundingClientRect();
      const box = one.getBoundingClientRect();
      return box.left < dialog.left - 1 || box.right > dialog.right + 1;
    }}).map(one => one.id || one.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [320, 390, 1440])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ada@example.com", id="short e-mail"),
        pytest.param("augusta.ada.king.lovelace@example.co.uk", id="e-mail"),
        pytest.param("w" * 300, id="300 characters"),
        pytest.param("字" * 300, id="300 Chinese characters"),
    ],
)
def test_a_long_name_does_not_push_controls_out_of_the_dialog(
    visit: Visit, width: int, name: str
) -> None:
    page = visit(f"/?open=1&view=morph&with={name}&seed={name}", width=width)
    expect(page.locator("#detail-title")).to_contain_text(name[:10])
    expect(page.locator("#detail-close")).to_be_in_viewport(ratio=1)
    assert page.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("height", [720, 900])
def test_tabbing_through_the_dialog_never_scrolls_it(visit: Visit, height: int) -> None:
    page = visit("/?open=1&seed=ada", height=height)
    expect(page.locator("#detail-title")).to_be_focused()
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate("document.getElementById('detail').scrollTop") == 0
    expect(page.locator("#detail-close")).to_be_in_viewport(ratio=1)


def test_arrow_keys_and_buttons_lead_along_the_wall(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?seed=41&open=1")
    picture_of(page, "#picture", "seed=41&")
    expect(page.locator("#detail-title")).to_be_focused()
    page.keyboard.press("ArrowRight")
    picture_of(page, "#picture", "seed=42&")
    page.get_by_role("button", name="Next face").click()
    picture_of(page, "#picture", "seed=43&")
    page.get_by_role("button", name="Previous face").click()
    expect(page).to_have_url(re.compile("seed=42&"))
    page.goto("/?seed=Ada&open=1&wall=7")
    page.get_by_role("button", name="Next face").click()
    picture_of(page, "#picture", "seed=7&")
    phone = visit("/?seed=41&open=1", width=390)
    phone.get_by_role("button", name="Next face").click()  # not below Close
    picture_of(phone, "#picture", "seed=42&")


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (720, 450), (844, 390)])
def test_the_buttons_of_the_head_never_cover_each_other(
    visit: Visit, width: int, height: int
) -> None:
    page = visit("/?open=1", width, height)
    expect(page.locator("#detail-close")).to_be_visible()
    for name in ("previous", "next", "detail-close"):
        top = """one => {
          const {left, top, width, height} = one.getBoundingClientRect();
          return document.elementFromPoint(left + width / 2, top + height / 2).closest("button").id;
        }"""
        assert page.locator(f"#{name}").evaluate(top) == name


REWRITTEN = """
async value => {
  const ids = new Set();
  const observer = new MutationObserver(records => {
    for (const {target, addedNodes} of records)
      if ([...addedNodes].some(node => node.nodeType === Node.TEXT_NODE)) ids.add(target.id);
  });
  observer.observe(document.body, {childList: true, subtree: true});
  const slider = document.getElementById("t");
  slider.value = value;
  slider.dispatchEvent(new Event("input", {bubbles: true}));
  await new Promise(done => requestAnimationFrame(done));
  observer.disconnect();
  return [...ids].sort();
}
"""


def test_a_slider_rewrites_only_texts_that_change(visit: Visit) -> None:
    page = visit("/?open=1&view=morph")
    expect(page.locator("#snippet")).to_contain_text("t=0.5")
    assert page.evaluate(REWRITTEN, 0.3) == ["snippet", "t-value"]
