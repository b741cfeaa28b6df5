"""The pages as responses: languages, security policy, assets, and no request to another host."""

import html
import io
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.avatars.request.picture_types import AVATAR
from app.main import create_app
from app.studio import assets, pages, translations
from models.registry import Registry
from models.settings import Settings
from worker.datasets import starter_attributes
from worker.publishing import slider_search

PAGES = ("/", "/docs")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_public_and_loads_from_this_server_alone(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    for address in _Addresses(answer.text).addresses:
        asset = client.get(address)
        assert asset.status_code == 200, address
        assert "immutable" in asset.headers["cache-control"]


class _Addresses(HTMLParser):
    """What a page loads; it fails for anything inline that the policy would forbid."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        assert tag != "style"
        inline = [name for name in attributes if name == "style" or name.startswith("on")]
        assert not inline, attributes
        if tag == "script" and attributes.get("type") != "application/json":
            self.addresses.append(attributes["src"])
        if tag == "link" and attributes["rel"] != "manifest":
            self.addresses.append(attributes["href"])


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        pytest.param("/", {}, "en", id="no preference"),
        pytest.param("/", {"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.3"}, "zh", id="preferred"),
        pytest.param("/", {"Accept-Language": "zh;q=0, en"}, "en", id="unwanted"),
        pytest.param("/", {"Accept-Language": ";;q=x,,"}, "en", id="nonsense"),
        pytest.param("/?lang=zh", {"Accept-Language": "en"}, "zh", id="address"),
        pytest.param("/?lang=xx", {"Accept-Language": "zh"}, "zh", id="unknown"),
        pytest.param("/", {"Cookie": "kao_lang=zh", "Accept-Language": "en"}, "zh", id="cookie"),
        pytest.param("/?lang=en", {"Cookie": "kao_lang=zh"}, "en", id="address before cookie"),
    ],
)
def test_the_address_then_the_cookie_then_the_browser_choose_the_language(
    client: TestClient, path: str, headers: dict[str, str], language: str
) -> None:
    answer = client.get(path, headers=headers)
    assert f'<html lang="{language}"' in answer.text
    assert translations.words(language)["playground.headline"] in answer.text


def test_each_language_has_every_word() -> None:
    first, *others = (
        # The help of a recipe's fields is English in the recipe itself.
        {key: text for key, text in words.items() if not key.startswith("studio.field.")}
        for words in map(translations.words, translations.LANGUAGES)
    )
    for other in others:
        assert other.keys() == first.keys()
        for key, text in first.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", other[key])), key


def test_scripts_and_templates_use_words_that_exist() -> None:
    files = [*assets.FOLDER.glob("*.js"), *pages.TEMPLATES.glob("*.html")]
    keys = 0
    for path in files:
        for key in re.findall(r"""\bt\(\s*["']([\w.-]+)["']""", path.read_text()):
            keys += 1
            if not key.endswith("."):  # the beginning of several
                assert key in translations.words("en"), (path.name, key)
    assert keys > 200


def test_a_page_shows_no_key_instead_of_a_word(client: TestClient) -> None:
    for path in (*PAGES, "/?lang=zh", "/studio"):
        text = re.sub(r"<script.*?</script>", "", client.get(path).text, flags=re.DOTALL)
        assert not re.findall(r">\s*(?:common|playground|studio|models|docs)\.[\w.]+", text), path


def test_a_script_gets_the_words_of_its_page(client: TestClient) -> None:
    words = _json(client.get("/").text, "words")
    assert {key.partition(".")[0] for key in words} == {"common", "playground", "trait"}


def _json(page: str, name: str) -> dict[str, Any]:
    """What a page embeds for its scripts."""
    text = re.search(rf'id="{name}">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    values: dict[str, Any] = json.loads(text[1])
    return values


def test_the_page_tells_its_scripts_the_limits_of_the_pictures(client: TestClient) -> None:
    settings = _json(client.get("/").text, "settings")
    rows = {row.name: row for row in AVATAR.parameters}
    assert settings["largest"] == rows["size"].schema["maximum"]
    assert settings["largestPsi"] == rows["psi"].schema["maximum"]
    assert set(settings["shapes"]) == set(rows["shape"].schema["enum"])
    assert max(settings["sizes"]) <= settings["largest"]
    for query, formats in (
        ("/avatar?seed=a", settings["formats"]["still"]),
        ("/sheet?seeds=a", settings["formats"]["sheet"]),
        ("/morph?from=a&to=b&frames=2", settings["formats"]["loop"]),
    ):
        for format in formats:
            assert client.get(f"{query}&size=32&format={format}").status_code == 200, format


def test_words_and_colours_of_traits_are_those_of_the_starter_set() -> None:
    labels = starter_attributes.labels(3000)
    # Its other attributes number the variants of a part, which no published model offers.
    values_of = {name: set(row["values"]) for name, row in labels["attributes"].items()}
    values = {
        name: values_of[name] for name in values_of if f"trait.{name}" in translations.words("en")
    }
    assert len(values) == 9
    for language in translations.LANGUAGES:
        words = translations.words(language)
        for name, options in values.items():
            assert {f"trait.{name}.{value}" for value in options} <= words.keys()
        for slider in slider_search.PROPERTIES:
            assert f"trait.{slider}" in words
    swatches = translations.swatches()
    assert swatches["hair_colour"] == starter_attributes.HAIR_COLOURS
    assert swatches["background"] == starter_attributes.BACKGROUNDS
    assert swatches["skin"] == {name: skin.fill for name, skin in starter_attributes.SKINS.items()}
    assert swatches["eye_colour"] == {
        name: eye.iris for name, eye in starter_attributes.EYE_COLOURS.items()
    }


@pytest.mark.parametrize(
    ("path", "picture"),
    [
        pytest.param("/", "seed=Noah", id="default"),
        pytest.param("/?seed=", "seed=", id="empty seed"),
        pytest.param("/?seed=a%26b", "seed=a%26b", id="escaped"),
        pytest.param(f"/?seed={'x' * 5000}", "seed=Noah", id="too long a seed"),
        pytest.param("/?psi=9", "psi=1.5", id="psi too high"),
        pytest.param("/?psi=nan", "seed=Noah", id="no psi"),
        pytest.param("/?trait.tail=long", "seed=Noah", id="unknown trait"),
        pytest.param("/?model=nope", "seed=Noah", id="unknown model"),
    ],
)
def test_the_first_face_is_one_that_the_server_draws(
    client: TestClient, path: str, picture: str
) -> None:
    text = client.get(path).text
    address = re.search(r'id="face" data-shown="([^"]+)"', text)
    assert address is not None
    url = html.unescape(address[1])
    assert f"{picture}&" in url
    assert "tail" not in url
    assert client.get(url).status_code == 200
    card = re.search(r'og:image" content="http://testserver([^"]+)"', text)
    assert card is not None
    assert client.get(html.unescape(card[1])).status_code == 200


def test_a_shared_link_names_itself_with_all_its_state(client: TestClient) -> None:
    """Sites that show links take this address for the page's own, and drop what it lacks."""
    path = "/?seed=a%20%22b%22&psi=0.5&open=1&view=morph&with=c"
    address = re.search(r'og:url" content="([^"]+)"', client.get(path).text)
    assert address is not None
    assert html.unescape(address[1]) == f"http://testserver{path}"


def test_a_models_card_can_be_shared_and_its_faces_open_the_playground(client: TestClient) -> None:
    text = client.get("/models/default/card").text
    card = re.search(r'og:image" content="http://testserver([^"]+)"', text)
    assert card is not None
    assert client.get(html.unescape(card[1])).headers["content-type"].startswith("image/")
    links = [html.unescape(link) for link in re.findall(r'href="(/\?open=1&amp;[^"]+)"', text)]
    assert links
    for link in links:
        assert client.get(link).status_code == 200
        assert re.search("model=[0-9a-f]{12}&(trait.|age=)", link)


def test_values_of_an_address_are_escaped(client: TestClient) -> None:
    text = client.get("/", params={"seed": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text


def test_the_page_names_only_pictures_that_the_server_draws(
    client: TestClient, versions: list[str]
) -> None:
    pictures = re.compile(r'(?:src|content|href)="(?:http://testserver)?(/(?:avatar|og)\?[^"]*)"')
    for query in (
        "psi=0.00001",
        "psi=1e-9",
        f"model={versions[0][:1]}",
        f"model={versions[0][:12]}",
    ):
        addresses = {
            html.unescape(each) for each in pictures.findall(client.get(f"/?{query}").text)
        }
        assert addresses
        for address in addresses:
            assert client.get(address).status_code == 200, (query, address)


def test_an_asset_of_another_version_is_a_problem(client: TestClient) -> None:
    for address in (
        "/assets/0000000000000000/style.css",
        f"/assets/{assets.digest()}/none.js",
        f"/assets/{assets.digest()}/../pages.py",
        f"/assets/{assets.digest()}/%2e%2e/pages.py",
    ):
        answer = client.get(address)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_an_asset_is_the_same_packed_or_not(client: TestClient) -> None:
    address = f"/assets/{assets.digest()}/style.css"
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    compressed_answer = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert compressed_answer.headers["content-encoding"] == "gzip"
    assert compressed_answer.content == plain.content


def test_pages_are_no_part_of_the_api(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert not {"/", "/docs", "/assets/{version}/{name}"} & paths.keys()
    assert client.get("/redoc").status_code == 404


def test_where_faces_are_private_the_playground_says_so(
    settings: Settings, registry: Registry
) -> None:
    private = create_app(settings.model_copy(update={"public_avatars": False}))
    with TestClient(private) as client:
        answer = client.get("/")
    assert answer.status_code == 403
    assert translations.words("en")["playground.closed.title"] in answer.text


def test_where_faces_are_private_a_session_opens_the_playground(
    settings: Settings, registry: Registry
) -> None:
    private = create_app(settings.model_copy(update={"public_avatars": False}))
    with TestClient(private) as client:
        key = "kao_a-key-for-the-tests"
        login = client.post("/session", json={"key": key}, headers={"Origin": "http://testserver"})
        assert login.is_success
        for path in ("/", "/team?names=Ada"):
            assert client.get(path).status_code == 200
        assert client.get("/avatar?seed=Ada").is_success
        client.cookies.clear()
        assert client.get("/team").status_code == 403


def test_a_theme_is_one_that_there_is(client: TestClient) -> None:
    for cookie, theme in (("dark", "dark"), ("light", "light"), ('x"><b>', "auto")):
        text = client.get("/", headers={"Cookie": f"{pages.THEME_COOKIE}={cookie}"}).text
        assert f'data-theme="{theme}"' in text


def test_the_docs_fill_in_no_trait_that_no_model_has(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    rows = [
        row
        for operations in document["paths"].values()
        for row in operations.get("get", {}).get("parameters", [])
        if row["name"] == "traits"
    ]
    assert len(rows) > 5
    assert all(row["example"] == {} for row in rows)


def test_what_the_docs_fill_in_draws_a_face_of_every_model(client: TestClient) -> None:
    rows = client.get("/openapi.json").json()["paths"]["/avatar"]["get"]["parameters"]
    query = {row["name"]: row["example"] for row in rows if row.get("example") not in (None, {})}
    assert {"seed", "model", "psi"} <= query.keys()
    assert client.get("/avatar", params=query).status_code == 200


@pytest.mark.parametrize(
    "path", [*PAGES, "/team", "/studio", "/models/default/card", "/robots.txt"]
)
def test_pages_answer_head_as_get_without_a_body(client: TestClient, path: str) -> None:
    head = client.head(path)
    assert head.status_code == client.get(path).status_code == 200
    assert head.content == b""


def test_crawlers_and_devices_find_what_they_ask_for(client: TestClient) -> None:
    robots = client.get("/robots.txt")
    assert "Disallow: /studio\n" in robots.text
    assert "/og" not in robots.text, "what shows links obeys it too, and needs a page's card"
    icon = client.get("/favicon.ico").headers
    assert icon["content-type"] == "image/png"
    assert icon["cache-control"] == "public, max-age=86400", "its address has no digest"
    page = client.get("/").text
    manifest = client.get("/manifest.webmanifest")
    assert 'rel="manifest" href="/manifest.webmanifest"' in page
    assert manifest.headers["content-type"] == "application/manifest+json"
    for icon in manifest.json()["icons"]:
        answer = client.get(icon["src"])
        assert answer.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            width, height = Image.open(io.BytesIO(answer.content)).size
            assert icon["sizes"] == f"{width}x{height}"


@pytest.mark.parametrize("path", ["/", "/models/default", "/openapi.json", "/studio/none"])
def test_texts_are_compressed(client: TestClient, path: str) -> None:
    headers = {"Accept": "text/html"}
    plain = client.get(path, headers={**headers, "Accept-Encoding": "identity"})
    small = client.get(path, headers={**headers, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["vary"]
    assert small.text == plain.text
    assert int(small.headers["content-length"]) < len(plain.content) / 2


def test_pictures_are_not_compressed_twice(client: TestClient) -> None:
    for path in ("/avatar?seed=1&size=512&format=png", "/sheet?count=4"):
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "content-encoding" not in answer.headers
        assert "Accept-Encoding" not in answer.headers.get("vary", "")
