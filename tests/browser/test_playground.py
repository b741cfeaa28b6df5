"""The playground in a browser, as users operate it."""

import re

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.types import PictureOf, Visit, attribute_of
from tests.browser.waits import click_to_load, next_document

pytestmark = pytest.mark.slow  # a second each, and some tens of them

WALL = "#wall a"


def test_typing_changes_the_face_and_the_address(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    assert picture_of(page, "#face")["seed"] == "Noah"
    page.get_by_label("Text whose face is shown").fill("ada & co?")
    expect(page).to_have_url(re.compile(r"/\?seed=ada%20%26%20co%3F$|seed=ada%20%26%20co%3F$"))
    assert picture_of(page, "#face", "co%3F")["seed"] == "ada & co?"


def test_an_empty_text_is_a_text_too(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?seed=")
    assert picture_of(page, "#face")["seed"] == ""
    expect(page.locator("#seed")).to_have_value("")
    expect(page.locator("#big")).to_have_accessible_name("No text")
    page.goto("/?seed=%20&with=Bo&view=morph&open=1")
    expect(page.locator("#detail-title")).to_have_text("No text + Bo")


def test_typing_faster_than_faces_arrive_shows_the_last_one(
    visit: Visit, picture_of: PictureOf
) -> None:
    page = visit("/")
    picture_of(page, "#face")
    addresses: list[str] = []
    routes: list[Route] = []

    def delay_the_first(route: Route) -> None:
        addresses.append(route.request.url)
        if routes:
            route.continue_()
        else:
            routes.append(route)

    page.route(re.compile("size=512"), delay_the_first)
    with page.expect_request(re.compile("size=512")):
        page.locator("#seed").fill("")
    page.locator("#seed").press_sequentially("somebody")
    expect(page.locator("#seed")).to_have_value("somebody")
    routes[0].continue_()  # the first face comes when all is typed
    picture_of(page, "#face", "somebody&")
    assert len(addresses) == 2, "faces between were requested"


def test_the_dice_show_another_face(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    picture_of(page, "#face")
    page.get_by_role("button", name="A random face").click()
    expect(page.locator("#seed")).not_to_have_value("Noah")
    picture_of(page, "#face", f"seed={page.locator('#seed').input_value()}&")


def test_the_slider_makes_all_faces_stranger(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    page.locator("#psi").fill("1.2")
    picture_of(page, "#face", "psi=1.2")
    expect(page.locator("#wall img").first).to_have_attribute("src", re.compile("psi=1.2"))
    expect(page).to_have_url(re.compile("psi=1.2"))


def test_a_morph_follows_its_slider(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?seed=ada&open=1")
    page.get_by_label("Morph", exact=True).check()
    picture_of(page, "#picture", "t=0.5")
    page.get_by_label("With whom").fill("grace")
    page.locator("#t").fill("0.8")
    picture_of(page, "#picture", "t=0.8")
    picture = picture_of(page, "#picture")
    assert (picture["from"], picture["to"]) == ("ada", "grace")
    page.get_by_role("button", name="Swap the two").click()
    picture_of(page, "#picture", "t=0.2")
    assert picture_of(page, "#picture")["from"] == "grace"


def test_a_loop_moves_and_stops(visit: Visit, picture_of: PictureOf, http: httpx.Client) -> None:
    page = visit("/?seed=ada&open=1&view=morph&with=grace")
    loop = page.get_by_role("button", name="Play as a loop")
    loop.click()
    picture_of(page, "#picture", "to=grace&size")
    body = http.get(page.locator("#picture img").last.evaluate("image => image.src")).content
    assert b"ANIM" in body  # WebP's chunk of an animation
    expect(page.locator("#format option")).to_have_text(["WEBP", "APNG", "GIF"])
    expect(loop).to_have_attribute("aria-pressed", "true")
    loop.click()
    picture_of(page, "#picture", "t=0.5")


def test_a_family_shows_all_children_or_one(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?seed=ada&open=1&view=family&with=grace")
    picture = picture_of(page, "#picture")
    assert (picture["path"], picture["children"]) == ("/family", "6")
    page.get_by_role("button", name="Child 3").click()
    picture_of(page, "#picture", "child=2")
    expect(page.locator("#snippet")).to_contain_text("child=2")


def test_another_model_draws_with_its_traits(
    visit: Visit, picture_of: PictureOf, http: httpx.Client
) -> None:
    page = visit("/")
    page.locator("#models-open").click()
    card = page.locator(".model-card", has_text="labelled")
    expect(card).to_contain_text("CC0-1.0")
    page_of_it = page.get_by_role("link", name=attribute_of(card, "data-version")[:12])
    assert http.get(page_of_it.evaluate("link => link.href")).status_code == 200
    card.click()
    version = attribute_of(card, "data-version")
    picture_of(page, "#face", version)
    page.locator("#open").click()
    page.get_by_role("radio", name="Pink").check()
    picture_of(page, "#picture", "hair=pink")
    expect(page).to_have_url(re.compile(f"model={version}.*trait.hair=pink"))
    page.locator("#detail-close").click()
    expect(page.locator("#wall img").first).to_have_attribute("src", re.compile("hair=pink"))


def test_traits_of_another_model_are_dropped(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?trait.tail=long")
    picture_of(page, "#face")
    expect(page).not_to_have_url(re.compile("tail"))


@pytest.mark.parametrize("width", [360, 1280])
def test_copying_is_confirmed_in_the_dialog_too(visit: Visit, width: int) -> None:
    page = visit("/?open=1", width=width, permissions=["clipboard-write"])
    page.locator("#copy").click()
    # What is not in an open dialog lies beneath it.
    expect(page.locator("#detail #toast")).to_have_text("Copied")
    expect(page.locator("#toast")).to_be_visible()
    box = page.locator("#toast").bounding_box()
    assert box is not None
    assert box["height"] < 60  # a line


def test_a_failure_is_shown_until_the_next_request(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    picture_of(page, "#face")
    page.route("**/avatar?seed=busy&*", lambda route: route.fulfill(body="no picture"))
    page.locator("#seed").fill("busy")
    expect(page.get_by_role("alert")).to_be_visible()
    page.locator("#seed").fill("calm")
    picture_of(page, "#face", "seed=calm&")
    expect(page.get_by_role("alert")).to_be_hidden()


def _without_models(route: Route) -> None:
    """Answer as a server would that has no model."""
    response = route.fetch()
    empty = re.sub(r'"version": "\w+"', '"version": null', response.text())
    route.fulfill(response=response, body=empty)


def test_a_server_without_a_model_says_so(visit: Visit) -> None:
    page = visit("about:blank")
    page.route("**/", _without_models)
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("No model is live yet")


@pytest.mark.parametrize("width", [320, 360, 1600, 2560])
@pytest.mark.parametrize("path", ["/", "/?open=1", "/?open=1&view=morph", "/?open=1&view=family"])
def test_nothing_is_wider_than_the_screen(visit: Visit, width: int, path: str) -> None:
    page = visit(path, width=width)
    expect(page.locator(WALL).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "[...document.querySelectorAll('dialog[open], dialog[open] > *, main *')]"
        ".filter(e => e.offsetWidth && !e.closest('.sr')).filter(e => {"
        " const {left, right} = e.getBoundingClientRect();"
        " return left < -1 || right > innerWidth + 1;"
        "}).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_a_long_name_of_a_dataset_fits_the_button_of_models(visit: Visit) -> None:
    page = visit("/", width=320)
    name = page.locator("#model-name")
    expect(name).to_have_text(re.compile("plain"))
    name.evaluate("one => one.textContent = 'Model: ' + 'w'.repeat(63)")
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_keyboard_is_enough(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    expect(page.locator(WALL).first).to_be_visible()
    picture_of(page, "#face")
    page.locator("#shuffle").focus()
    page.keyboard.press("Tab")
    assert _focus(page) == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    columns = int(attribute_of(page.locator("#wall"), "aria-colcount"))
    assert _focus(page) == str(columns + 1)
    for _ in range(12):
        page.keyboard.press("PageDown")
    far = int(_focus(page))
    assert far > 100
    assert page.evaluate(
        "(({top, bottom}) => top >= 0 && bottom <= innerHeight)"
        "(document.activeElement.getBoundingClientRect())"
    )
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_have_text(str(far))
    expect(page.locator("#detail-title")).to_be_focused()
    for button in ("previous", "next", "detail-close"):
        page.keyboard.press("Tab")
        expect(page.locator(f"#{button}")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#views input:checked")).to_have_value("morph")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).not_to_be_visible()
    assert _focus(page) == str(far)


def _focus(page: Page) -> str:
    """The number of the face that has the focus."""
    return str(page.evaluate("document.activeElement.dataset.number"))


def test_two_languages_have_all_words(visit: Visit) -> None:
    page = visit("/", locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("#open")).to_have_text("自定义")
    click_to_load(page.get_by_text("English"))
    expect(page.locator("#open")).to_have_text("Customise")
    page.goto("/")  # the cookie has the choice
    expect(page.locator("#open")).to_have_text("Customise")


def test_the_other_language_keeps_the_state(visit: Visit) -> None:
    page = visit("/?seed=ada&open=1&view=mix")
    # An open face covers the link for a mouse, but not for a screen reader.
    with next_document(page):
        page.locator("#language").evaluate("link => link.click()")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator("#seed")).to_have_value("ada")
    expect(page.locator("#views input:checked")).to_have_value("mix")


def test_the_switch_of_colours_is_remembered(visit: Visit) -> None:
    page = visit("/", color_scheme="light")
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(colour)
    page.locator("#theme").click()
    dark = page.evaluate(colour)
    assert dark != light
    page.reload()
    assert page.evaluate(colour) == dark


def test_reduced_motion_stops_animations(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/", reduced_motion="reduce")
    picture_of(page, "#face")
    page.locator("#dice").click()
    assert (
        page.evaluate(
            "document.getAnimations().filter(a => a.effect.getTiming().duration > 10).length"
        )
        == 0
    )


def test_reduced_motion_stops_a_loop_that_was_shared(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?view=morph&loop=1&open=1", reduced_motion="reduce")
    assert picture_of(page, "#picture")["t"] == "0.5"
    page.locator("#loop").click()  # plays where it is wanted
    assert "t" not in picture_of(page, "#picture", "size=256")


def test_the_code_follows_what_is_typed_and_is_copied(visit: Visit, site: str) -> None:
    page = visit("/", permissions=["clipboard-read", "clipboard-write"])
    code = f'<img src="{site}/avatar?seed=ada%20lovelace" alt="a face">'
    page.locator("#seed").fill("ada lovelace")
    expect(page.locator("#embed")).to_have_text(code)
    page.get_by_role("button", name="Copy HTML").click()
    expect(page.locator("#toast")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == code
    expect(page).to_have_title("ada lovelace · Kao")


def test_the_last_ten_faces_stay_in_a_strip(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    faces = page.locator("#recent button")
    expect(faces.first).to_have_attribute("data-seed", "Noah")
    expect(faces).to_have_count(10)
    page.locator("#seed").fill("grace")
    expect(faces.first).to_have_attribute("data-seed", "grace")
    expect(faces).to_have_count(10)
    faces.nth(1).click()
    expect(page.locator("#seed")).to_have_value("Noah")
    page.reload()
    expect(faces.first).to_have_attribute("data-seed", "grace")


def test_when_the_large_face_fails_no_wall_is_requested(visit: Visit) -> None:
    page = visit("about:blank")
    faces: list[str] = []
    page.on("request", lambda request: faces.append(request.url))
    page.route("**/avatar?*size=512*", lambda route: route.fulfill(body="no picture"))
    page.goto("/?trait.tail=long&seed=lost")
    expect(page.get_by_role("alert")).to_be_visible()
    assert len([url for url in faces if "/avatar?" in url and "size=64" not in url]) < 6


def test_surprise_chooses_traits_and_reset_takes_them_back(
    visit: Visit, picture_of: PictureOf, labelled_model: str
) -> None:
    page = visit(f"/?model={labelled_model}&open=1")
    page.get_by_role("button", name="Surprise me").click()
    expect(page).to_have_url(re.compile("trait.hair=.*trait.smile="))
    picture_of(page, "#picture", "hair=")
    page.get_by_role("button", name="Reset").click()
    expect(page).not_to_have_url(re.compile("trait"))
    expect(page.get_by_role("button", name="Reset")).to_be_disabled()


def test_a_click_into_the_field_selects_its_text(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/")
    page.locator("#seed").click()
    page.keyboard.type("ada")
    expect(page.locator("#seed")).to_have_value("ada")


def test_the_preview_of_an_svg_is_the_svg(visit: Visit, picture_of: PictureOf) -> None:
    page = visit("/?open=1&format=svg")
    assert picture_of(page, "#picture")["format"] == "svg"


def test_forced_colours_outline_what_is_chosen(visit: Visit, picture_of: PictureOf) -> None:
    """Grounds and weights are lost there (P24)."""
    page = visit("/?open=1", forced_colors="active")
    picture_of(page, "#picture")
    style = "one => [getComputedStyle(one).outlineStyle, getComputedStyle(one).outlineWidth]"
    chosen, other = page.locator(".segments :checked + span"), page.locator("#views span").last
    for place in (*chosen.all(), page.locator(".places [aria-current]")):
        assert place.evaluate(style) == ["solid", "3px"]
    assert other.evaluate(style)[0] == "none"


def test_a_dark_page_is_printed_dark_on_white_without_controls(visit: Visit) -> None:
    page = visit("/", color_scheme="dark")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    ink = page.evaluate("getComputedStyle(document.documentElement).color")
    assert ink == "rgb(29, 27, 24)"
    for control in ("header.top", "#open", "#shuffle"):
        expect(page.locator(control)).to_be_hidden()
