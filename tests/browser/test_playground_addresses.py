"""What an address of the playground shows, and where the back button leads."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.types import PictureOf, Visit, attribute_of, text_of
from tests.browser.waits import next_document

pytestmark = pytest.mark.slow  # a second each, and some tens of them

WALL = "#wall a"


def test_an_address_restores_what_was_shared(visit: Visit, picture_of: PictureOf) -> None:
    first = visit("/?seed=ada&psi=0.5&open=1&view=mix&with=grace&at=1&size=128&format=png")
    picture = picture_of(first, "#picture")
    assert picture | {"path": "/mix", "coarse": "ada", "fine": "grace", "at": "1"} == picture
    assert picture["psi"] == "0.5"
    first.locator("#shape").select_option("circle")
    expect(first).to_have_url(re.compile("shape=circle"))
    second = visit(first.url.removeprefix(first.evaluate("location.origin")))
    assert picture_of(second, "#picture")["shape"] == "circle"
    for name, value in {"#with": "grace", "#size": "128", "#format": "png", "#at": "1"}.items():
        expect(second.locator(name)).to_have_value(value)
    expect(second.locator("#snippet")).to_have_text(text_of(first.locator("#snippet")))


def test_a_shared_link_shows_its_face(visit: Visit, http: httpx.Client) -> None:
    page = visit("/?seed=ada%20b")
    address = attribute_of(page.locator("meta[property='og:image']"), "content")
    answer = http.get(address)
    assert "seed=ada%20b" in address
    assert answer.headers["content-type"].startswith("image/")


def test_the_first_face_and_its_code_need_no_script(visit: Visit, http: httpx.Client) -> None:
    page = visit("/?seed=ada%20%26%20co~", java_script_enabled=False)
    image = page.locator("#face img")
    answer = http.get(str(image.evaluate("image => image.src")))
    assert answer.headers["x-avatar-seed"] == "ada%20%26%20co~"
    expect(page.locator("#embed")).to_contain_text("/avatar?seed=ada%20%26%20co%7E")
    page.locator("#seed").fill("grace")
    with next_document(page):
        page.locator("#seed").press("Enter")
    expect(page.locator("#face img")).to_have_attribute("alt", "grace")


@pytest.mark.parametrize("path", ["/", "/?seed=a%20b~'(1)*!&psi=0.55", "/?psi=1.2&lang=zh"])
def test_the_script_does_not_load_the_first_face_again(visit: Visit, path: str) -> None:
    page = visit("about:blank")
    faces: list[str] = []
    page.on("request", lambda request: faces.append(request.url))
    page.goto(path)
    expect(page.locator("#wall img.here").first).to_be_attached()
    assert len([url for url in faces if "size=512" in url]) == 1


def test_an_unknown_model_is_replaced_by_the_live_one_and_named(
    visit: Visit, picture_of: PictureOf
) -> None:
    page = visit("/?model=deadbeef&seed=ada")
    expect(page.get_by_role("alert")).to_contain_text("deadbeef")
    assert picture_of(page, "#face")["seed"] == "ada"
    expect(page.locator("#wall img.here").first).to_be_attached()


def test_an_unknown_value_of_a_trait_is_dropped_and_named(
    visit: Visit, picture_of: PictureOf, labelled_model: str
) -> None:
    page = visit(f"/?model={labelled_model}&trait.hair=chartreuse&trait.smile=yes")
    expect(page.locator("#toast")).to_contain_text("hair=chartreuse")
    picture_of(page, "#face", "smile=yes")
    expect(page).not_to_have_url(re.compile("chartreuse"))


def test_a_reload_keeps_the_place_on_the_wall(visit: Visit) -> None:
    page = visit("/")
    expect(page.locator(WALL).first).to_be_attached()
    for _ in range(6):
        page.evaluate("scrollBy({top: 2000, behavior: 'instant'})")
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    place = page.evaluate("scrollY")
    assert place > 5000
    page.reload()
    expect(page.locator("#wall img.here").first).to_be_attached()
    assert abs(page.evaluate("scrollY") - place) < 20


def test_the_back_button_closes_a_face(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    page.locator(WALL).nth(2).click()
    expect(page.locator("#detail-title")).to_have_text("2")
    expect(page).to_have_url(re.compile("seed=2&open=1"))
    page.go_back()
    expect(page.locator("#detail")).not_to_be_visible()


def test_back_after_close_does_not_open_the_dialog_again(
    visit: Visit, picture_of: PictureOf
) -> None:
    page = visit("/?seed=ada")
    picture_of(page, "#face")
    page.locator("#open").click()
    page.get_by_label("Morph", exact=True).check()
    page.locator("#detail-close").click()
    expect(page.locator("#detail")).not_to_be_visible()
    expect(page).to_have_url(re.compile("seed=ada&view=morph$"))
    page.go_back()
    expect(page).to_have_url("about:blank")


def test_the_space_bar_rolls_and_back_shows_the_face_before(
    visit: Visit, picture_of: PictureOf
) -> None:
    page = visit("/")
    picture_of(page, "#face")
    page.locator("h1").click()
    page.keyboard.press("Space")
    expect(page.locator("#seed")).not_to_have_value("Noah")
    first = page.locator("#seed").input_value()
    page.keyboard.press("Space")
    expect(page.locator("#seed")).not_to_have_value(first)
    page.go_back()
    expect(page.locator("#seed")).to_have_value(first)
    page.locator("#seed").fill("a")
    page.locator("#seed").press("Space")
    expect(page.locator("#seed")).to_have_value("a ")
