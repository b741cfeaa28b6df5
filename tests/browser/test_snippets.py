"""What others paste is exactly right, and gives the picture that was shown."""

import html.parser
import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.types import Visit, text_of
from tests.browser.waits import until

pytestmark = pytest.mark.slow  # a second each, and some tens of them

PATH = "/?seed=%22ada%22%20%5B%3C%26%5D%20(1)&open=1&size=128"
QUERY = "seed=%22ada%22%20%5B%3C%26%5D%20%281%29&size=128"
EXACT = {
    "url": "{site}/avatar?{query}&format=webp",
    "html": '<img src="{site}/avatar?{amp}&amp;format=webp" '
    'srcset="{site}/avatar?{amp}&amp;dpr=2&amp;format=webp 2x" width="128" height="128" '
    'alt="a face" loading="lazy">',
    "markdown": "![a face]({site}/avatar?{query}&format=webp)",
    "react": '<img\n  src="{site}/avatar?{query}&format=webp"\n'
    '  srcSet="{site}/avatar?{query}&dpr=2&format=webp 2x"\n'
    "  width={{128}}\n  height={{128}}\n"
    '  alt={{"a face"}}\n  loading="lazy"\n/>',
}


@pytest.mark.parametrize("kind", EXACT)
def test_a_snippet_is_exact(visit: Visit, site: str, kind: str) -> None:
    page = visit(PATH)
    page.locator(f"#kinds [value={kind}]").check()
    snippet = EXACT[kind].format(site=site, query=QUERY, amp=QUERY.replace("&", "&amp;"))
    assert text_of(page.locator("#snippet")) == snippet


def test_the_html_gives_the_picture_that_it_says(visit: Visit, http: httpx.Client) -> None:
    page = visit(PATH)
    page.locator("#kinds [value=html]").check()
    reader = _Image()
    reader.feed(text_of(page.locator("#snippet")))
    assert reader.attributes["alt"] == "a face"
    for address in (reader.attributes["src"], reader.attributes["srcset"].removesuffix(" 2x")):
        answer = http.get(address)
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["x-avatar-seed"] == "%22ada%22%20%5B%3C%26%5D%20%281%29"


@pytest.mark.parametrize(("lang", "text"), [("en", r"hair: \w+"), ("zh", r"hair：\w+")])
def test_a_snippet_says_what_the_face_shows(
    visit: Visit, labelled_model: str, lang: str, text: str
) -> None:
    page = visit(f"/?seed=ada@example.com&open=1&model={labelled_model}&lang={lang}")
    page.locator("#kinds [value=html]").check()
    expect(page.locator("#snippet")).to_have_text(re.compile(f'alt="{text}'))
    page.locator("#kinds [value=markdown]").check()
    expect(page.locator("#snippet")).to_have_text(re.compile(rf"^!\[{text}"))


def test_a_snippet_of_two_faces_names_no_seed(visit: Visit) -> None:
    page = visit("/?seed=ada&with=ben&open=1&view=morph")
    page.locator("#kinds [value=html]").check()
    expect(page.locator("#snippet")).to_contain_text('alt="one face changing into another"')


class _Image(html.parser.HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "img"
        self.attributes = {name: value or "" for name, value in attrs}


@pytest.mark.parametrize(
    "path",
    [
        "/?open=1&view=morph&with=a%2Cb&t=0.3&size=1024&format=svg",
        "/?open=1&view=morph&loop=1&size=64&format=gif",
        "/?open=1&view=mix&at=0&shape=circle&format=avif",
        "/?open=1&view=family&seed=a%2Cb&with=c&size=1024&format=svg",
        "/?open=1&view=family&child=5&size=64&format=png",
        "/?seed=&open=1&size=1024&psi=0",
    ],
)
@pytest.mark.parametrize("kind", ["url", "html"])
def test_every_state_has_an_address_that_the_server_draws(
    visit: Visit, http: httpx.Client, path: str, kind: str
) -> None:
    page = visit(path)
    page.locator(f"#kinds [value={kind}]").check()
    text = text_of(page.locator("#snippet")).replace("&amp;", "&")
    for address in re.findall(r"http[^\s\"]+", text):
        answer = http.get(address)
        assert answer.status_code == 200, answer.text


def test_a_pinned_address_names_the_version(visit: Visit, http: httpx.Client, site: str) -> None:
    page = visit("/?open=1")
    assert "model=" not in text_of(page.locator("#snippet"))
    page.locator("#pin").check()
    version = http.get(f"{site}/models").json()["aliases"]["default"]
    assert f"&model={version}" in text_of(page.locator("#snippet"))


def test_copying_and_downloading(visit: Visit) -> None:
    page = visit("/?open=1&seed=ada", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#copy").click()
    until(
        page,
        "navigator.clipboard.readText()"
        ".then(text => text.endsWith('/avatar?seed=ada&size=256&format=webp'))",
    )
    page.locator("#share").click()
    until(page, "navigator.clipboard.readText().then(text => text === location.href)")
    with page.expect_download() as coming:
        page.locator("#download").click()
    assert coming.value.suggested_filename == "ada.webp"
