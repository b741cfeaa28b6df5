"""The pages as answers: their languages, their policy, and that they need nobody else."""

import json
import re
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.studio import assets, pages, translations
from models.registry import Registry
from models.settings import Settings

PAGES = ("/", "/docs")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_open_to_all_and_loads_from_here_alone(client: TestClient, path) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    for address in _Loaded(answer.text).addresses:
        loaded = client.get(address)
        assert loaded.status_code == 200, address
        assert "immutable" in loaded.headers["cache-control"]


class _Loaded(HTMLParser):
    """What a page loads; it fails for anything inline that the policy would forbid."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes) -> None:
        given = dict(attributes)
        assert tag != "style"
        assert not [name for name in given if name == "style" or name.startswith("on")], given
        if tag == "script" and given.get("type") != "application/json":
            self.addresses.append(given["src"])
        if tag == "link":
            self.addresses.append(given["href"])


@pytest.mark.parametrize(
    ("path", "headers", "language"),
    [
        pytest.param("/", {}, "en", id="nobody says"),
        pytest.param("/", {"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.3"}, "zh", id="preferred"),
        pytest.param("/", {"Accept-Language": "zh;q=0, en"}, "en", id="unwanted"),
        pytest.param("/", {"Accept-Language": ";;q=x,,"}, "en", id="nonsense"),
        pytest.param("/?lang=zh", {"Accept-Language": "en"}, "zh", id="address"),
        pytest.param("/?lang=xx", {"Accept-Language": "zh"}, "zh", id="unknown"),
        pytest.param("/", {"Cookie": "kao_lang=zh", "Accept-Language": "en"}, "zh", id="cookie"),
        pytest.param("/?lang=en", {"Cookie": "kao_lang=zh"}, "en", id="address before cookie"),
    ],
)
def test_the_language(client: TestClient, path, headers, language) -> None:
    answer = client.get(path, headers=headers)
    assert f'<html lang="{language}"' in answer.text
    assert translations.words(language)["playground.headline"] in answer.text


def test_each_language_has_every_word() -> None:
    first, *others = (translations.words(language) for language in translations.LANGUAGES)
    for other in others:
        assert other.keys() == first.keys()
        for key, text in first.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", other[key])), key


def test_scripts_use_words_that_there_are() -> None:
    for path in assets.FOLDER.glob("*.js"):
        for key in re.findall(r'\bt\(\s*"([\w.-]+)"', path.read_text()):
            assert key in translations.words("en"), (path.name, key)


def test_a_script_gets_the_words_of_its_page(client: TestClient) -> None:
    found = re.search(r'id="words">(.*?)</script>', client.get("/").text, re.DOTALL)
    known = json.loads(found[1])
    assert {key.partition(".")[0] for key in known} == {"common", "playground"}


def test_what_is_asked_for_is_escaped(client: TestClient) -> None:
    text = client.get("/", params={"seed": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in text


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
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


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


def test_a_theme_is_one_that_there_is(client: TestClient) -> None:
    for given, shown in (("dark", "dark"), ("light", "light"), ('x"><b>', "auto")):
        text = client.get("/", headers={"Cookie": f"{pages.THEME_COOKIE}={given}"}).text
        assert f'data-theme="{shown}"' in text


def test_colours_of_the_dark_theme_are_the_same_by_choice_and_by_system() -> None:
    style = (assets.FOLDER / "style.css").read_text()
    chosen = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', style, re.DOTALL)[1]
    system = re.search(r':root\[data-theme="auto"\] \{(.*?)\}', style, re.DOTALL)[1]
    assert chosen.split() == system.split()
