"""Chinese is complete: no page has English words outside code, names and marked quotations."""

import io
import re
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.studio import forms, translations
from app.studio.playground import SEED
from app.studio.views import SEEDS
from models import runs
from models.recipes.presets import PRESETS
from models.recipes.recipe import Recipe, resolve
from models.registry import Registry

KEY = "kao_a-key-for-the-tests"
# Names of things that have no Chinese word, or whose English word is what one types.
NAMES = re.findall(
    r"\S+",
    """
    Kao API JavaScript HTML URL Markdown React Python curl GitHub PNG JPEG JPG WebP GIF BMP
    AVIF HEIC TIFF SVG APNG ZIP zip psi FD Lite0 KID Own GPU NVIDIA CPU DCGAN GAN Lorelei Lisa
    Wischofsky DiceBear CC0 English starter px kB MB min dB a-z FD-Lite0 KID-Lite0 FD-Own
    Swagger auto bf16 arXiv RpGAN AC-GAN r1r2 relativistic age avatar best kao evaluate keep
    AMD EPYC precision recall density coverage setting unstated nobody threads bfloat16 via
    CC0-1 CSV size docs none
    """,
)
WORD = re.compile(r"[A-Za-z][A-Za-z0-9-]{2,}")
QUOTES = {"code", "pre", "script", "style", "option", "noscript"}
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Texts(HTMLParser):
    """Collect what readers see: texts and labels outside code and outside lang="en"."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.skipping: list[bool] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        skip = tag in QUOTES or attributes.get("lang") == "en" or "translate" in attributes
        if not (skip or any(self.skipping)):
            labels = ("alt", "title", "aria-label", "placeholder", "data-label")
            self.texts += [value for name in labels if (value := attributes.get(name))]
        if tag not in VOID:
            self.skipping.append(skip)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.skipping.pop()

    def handle_data(self, data: str) -> None:
        if not any(self.skipping):
            self.texts.append(data)


@pytest.fixture
def studio(client: TestClient, registry: Registry, key: dict[str, str]) -> TestClient:
    """A client that is logged in, on a server with a run, a dataset and two models."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number in range(8):
            picture = io.BytesIO()
            Image.new("RGB", (32, 32), "red").save(picture, "PNG")
            archive.writestr(f"{('red', 'blue')[number % 2]}/{number}.png", picture.getvalue())
        archive.writestr("notes.txt", "left out")
    answer = client.post("/datasets?name=mine", content=body.getvalue(), headers=key)
    assert answer.status_code == 201
    client.post("/session", json={"key": KEY}, headers={"Origin": "http://testserver"})
    client.post("/keys", json={"name": "ci", "scopes": ["read"]}, headers=key)
    hook = client.post("/webhooks", json={"url": "https://example.com"}, headers=key).json()
    client.post(f"/webhooks/{hook['id']}/test", headers=key)
    client.headers["Accept-Language"] = "zh-CN"
    return client


def pages(registry: Registry) -> Iterator[str]:
    first, second = (
        str(runs.create(registry.engine, resolve({"preset": "smoke"}), {})[0]["id"])
        for _ in range(2)
    )
    version = str(registry.list_models()[0]["version"])
    yield from (
        "/",
        "/?seed=&model=latest",
        "/docs",
        "/team",
        "/team?names=小明",
        "/nothing-here",
        "/avatar?size=abc",
    )
    yield from ("/studio", "/studio/new", "/studio/datasets", "/studio/models", "/studio/access")
    yield from ("/studio/datasets/mine", "/studio/datasets/starter", "/studio/datasets/none")
    yield from (f"/studio/new?from={first}", f"/studio/runs/{first}", "/studio/runs/none")
    yield from (f"/studio/compare?run={first}&run={second}", "/studio/compare")
    yield from (f"/studio/models/{version}", f"/models/{version}/card")


def test_no_page_has_english_words(studio: TestClient, registry: Registry) -> None:
    allowed_words = {*NAMES, *PRESETS, "smoke", "modern", "mine", "red", "blue", SEED, *SEEDS}
    allowed_words |= {each["version"][:12] for each in registry.list_models()}
    left: dict[str, set[str]] = {}
    for path in pages(registry):
        page = studio.get(path, headers={"Accept": "text/html"})
        assert 'lang="zh"' in page.text, path
        words = {word for text in Texts(page.text).texts for word in WORD.findall(text)}
        strange = {word for word in words - allowed_words if not re.fullmatch(r"[0-9a-f-]+", word)}
        if strange:
            left[path] = strange
    assert left == {}


def test_the_login_has_no_english_words(client: TestClient) -> None:
    page = client.get("/studio", headers={"Accept-Language": "zh"})
    words = {word for text in Texts(page.text).texts for word in WORD.findall(text)}
    assert words <= set(NAMES)


def test_words_of_scripts_are_chinese_too() -> None:
    allowed_words = {*NAMES, "minutes", "images", "epochs", "measure_every"}
    for key, text in translations.words("zh").items():
        plain = re.sub(r"\{\w+\}", "", text)
        if key.startswith("studio.field.") or not WORD.search(plain):
            continue
        assert re.search("[\u4e00-\u9fff]", plain) or set(WORD.findall(plain)) <= allowed_words, key


def test_every_field_of_a_recipe_has_chinese_help() -> None:
    controls = [one for group in forms.groups(Recipe.model_json_schema()).values() for one in group]
    words = translations.words("zh")
    assert {f"studio.field.{control.name}" for control in controls} <= words.keys()
