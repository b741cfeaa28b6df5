"""`format=json` describes the face that the same address draws."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.avatars.encode import description, provenance
from app.avatars.formats import STILL
from app.avatars.traits import legible_traits
from models.bundle.format import Card, Evaluation
from tests.app.avatars.conftest import LEFT, RIGHT
from tests.support.app_client import state_of
from tests.support.pictures import decode

SVG = "{http://www.w3.org/2000/svg}"


def describe(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/avatar", params={"format": "json", **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    fields: dict[str, Any] = answer.json()
    return fields


def test_a_description_names_its_face(choosy: TestClient) -> None:
    fields = describe(choosy, seed="顔 & <b>", size=32)
    assert fields["seed"] == "顔 & <b>"
    assert set(fields["traits"]) == {"colour", "light"}
    assert fields["alt"]["en"].startswith("colour: ")
    assert (fields["licence"], fields["credit"]) == ("CC0-1.0", "")
    answer = choosy.get(fields["address"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-avatar-model"] == fields["version"]
    by_alias = choosy.get("/avatar", params={"seed": "顔 & <b>", "size": 32, "format": "png"})
    assert np.array_equal(decode(answer.content), decode(by_alias.content))


def test_the_traits_are_those_that_the_pixels_show(choosy: TestClient) -> None:
    is_shown = [_is_shown(choosy, str(seed)) for seed in range(24)]
    assert sum(is_shown) >= 18  # by chance 4; a small model shows some of its labels badly


def _is_shown(client: TestClient, seed: str) -> bool:
    traits = describe(client, seed=seed)["traits"]
    pixels = decode(client.get(f"/avatar?seed={seed}&size=16&format=png").content)
    left = pixels[:, :6].reshape(-1, 3).mean(0)
    right = pixels[:, 10:].reshape(-1, 3).mean(0)
    colour = min(LEFT, key=lambda name: float(np.abs(left - LEFT[name]).sum()))
    light = min(RIGHT, key=lambda name: float(np.abs(right - RIGHT[name]).sum()))
    return (traits["colour"], traits["light"]) == (colour, light)


def test_a_requested_trait_is_described(choosy: TestClient) -> None:
    for value in LEFT:
        fields = describe(choosy, seed="a", colour=value)
        assert fields["traits"]["colour"] == value
        assert f"colour: {value}" in fields["alt"]["en"]


def test_a_slider_is_described_where_it_is_moved(slid: TestClient) -> None:
    assert describe(slid, seed="a", brightness=0.5)["traits"] == {"brightness": 0.5}
    assert describe(slid, seed="a")["traits"] == {}


@pytest.mark.parametrize("address", ["/avatar/ada.json", "/avatar/ada.JSON?size=99"])
def test_the_extension_json_describes(choosy: TestClient, address: str) -> None:
    assert choosy.get(address).json()["seed"] == "ada"


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/plain, */*"])
def test_accept_never_chooses_json(choosy: TestClient, accept: str) -> None:
    answer = choosy.get("/avatar?seed=a", headers={"Accept": accept})
    assert answer.headers["content-type"] == "image/png"


def test_only_faces_are_described(choosy: TestClient) -> None:
    assert choosy.get("/morph?from=a&to=b&t=0.5&format=json").status_code == 422
    assert choosy.get("/og?seed=a&format=json").status_code == 422


def test_colours_are_the_largest_areas_first() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:4] = (255, 0, 0)
    assert description.dominant_colours(pixels) == ["#000000", "#ff0000"]


ROW, COLUMN = np.mgrid[:16, :16]


@pytest.mark.parametrize(
    ("channels", "text"),
    [
        pytest.param((128, 128, 128), "U3Eyb[~qfQ~q~qoffQoffQfQfQfQ~qoffQof", id="one colour"),
        pytest.param(
            (
                255 * (COLUMN < 8),
                255 * (ROW < 8),
                np.where((COLUMN < 8) & (ROW < 8), 0, 128),
            ),
            "U~LqdG}9$4KOuWt1jsbtgbfifPfkrLsCjuaz",
            id="corners",
        ),
        pytest.param(
            (255 - 17 * COLUMN, 255 - 17 * ROW, 240 - 8 * (COLUMN + ROW)),
            "U@Hx$g}I,b$*ufohjvkCgyflfRfktjoMjuj[",
            id="ramps",
        ),
    ],
)
def test_a_blur_hash_is_that_of_its_authors_implementation(
    channels: tuple[Any, Any, Any], text: str
) -> None:
    """The texts are those of the npm package `blurhash` 2.0.5, with 4 × 4 components."""
    pixels = np.stack(np.broadcast_arrays(*channels, ROW)[:3], axis=-1).astype(np.uint8)
    assert description.blur_hash(pixels) == text


@pytest.mark.parametrize("format", [name for name in STILL if name != "svg"])
def test_a_file_says_what_it_shows(choosy: TestClient, format: str) -> None:
    alt = describe(choosy, seed="a", size=32)["alt"]
    body = choosy.get(f"/avatar?seed=a&size=32&format={format}").content
    assert alt["en"].encode() in body
    assert b"Trained on pictures under CC0-1.0" in body
    assert (alt["zh"].encode() in body) is (format != "gif")  # a comment in ASCII


@pytest.mark.parametrize(
    "address",
    [
        "/avatar?seed=a&size=32&format=svg",
        "/morph?from=a&to=b&frames=4&size=32&format=webp",
        "/morph?from=a&to=b&frames=4&size=32&format=gif",
        "/morph?from=a&to=b&frames=4&size=32&format=apng",
        "/walk?seed=a&frames=4&stops=2&size=32",
        "/morph?from=a&to=b&t=0.5&size=32",
        "/mix?coarse=a&fine=b&size=32",
        "/blend?seeds=a,b&size=32",
        "/family?parents=a,b&size=32",
        "/sheet?seeds=a,b&size=32",
        "/og?seed=a",
    ],
)
def test_every_picture_names_its_licence(choosy: TestClient, address: str) -> None:
    answer = choosy.get(address)
    assert answer.status_code == 200, answer.text
    assert b"Trained on pictures under CC0-1.0" in answer.content


def test_an_svg_has_its_alternative_text_as_title(choosy: TestClient) -> None:
    alt = describe(choosy, seed="a")["alt"]
    root = ElementTree.fromstring(choosy.get("/avatar?seed=a&format=svg").content)
    titles = root.findall(f"{SVG}title")
    assert [title.text for title in titles] == [alt["en"], alt["zh"]]
    assert titles[1].get("lang") == "zh"
    assert root.get("role") == "img"


def test_no_two_svgs_share_an_id(choosy: TestClient) -> None:
    queries = ("seed=a&shape=circle", "seed=a&shape=rounded", "seed=b&shape=circle")
    bodies = [choosy.get(f"/avatar?{query}&format=svg").text for query in queries]
    ids = [re.findall(r'\bid="([^"]*)"', body) for body in bodies]
    assert all(len(each) == 1 for each in ids)
    assert len({each[0] for each in ids}) == 3
    for body, (id,) in zip(bodies, ids, strict=True):
        assert f'clip-path="url(#{id})"' in body


def test_a_batch_describes_each_face(choosy: TestClient) -> None:
    headers = {"Accept": "application/x-ndjson"}
    answer = choosy.post("/avatars", json={"seeds": ["a", "b"], "size": 16}, headers=headers)
    for line, seed in zip(answer.iter_lines(), ("a", "b"), strict=True):
        fields = describe(choosy, seed=seed)
        row = json.loads(line)
        assert (row["seed"], row["traits"], row["alt"]) == (seed, fields["traits"], fields["alt"])


@pytest.mark.parametrize("format", ["png", "svg"])
def test_pinned_pictures_of_older_models_keep_their_bytes(
    choosy: TestClient, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    version = choosy.get("/models/default").json()["version"]
    drawer = state_of(choosy).engine._drawers[version]
    monkeypatch.setattr(drawer, "card", drawer.card.model_copy(update={"provenance": 1}))
    query = f"seed=older&shape=circle&format={format}"
    answer = choosy.get(f"/avatar?{query}&model={version}")
    by_alias = choosy.get(f"/avatar?{query}")
    for word in (b"AltTextAccessibility", b"<title>", b"Trained on"):
        assert word not in answer.content
    assert b"AltTextAccessibility" in by_alias.content
    assert answer.headers["etag"] != by_alias.headers["etag"]
    if format == "svg":
        assert b'<clipPath id="s">' in answer.content


def test_words_cannot_break_the_file(tmp_path: Path) -> None:
    hostile = 'a"/><script>\x00 kao:model="x" model: y address: z'
    words = provenance.Words({"en": hostile, "zh": hostile}, {}, hostile, hostile)
    stamp = provenance.Stamp("0" * 64, "/avatar?seed=a", words)
    ElementTree.fromstring(stamp.xmp().decode())
    ElementTree.fromstring(f"<svg>{stamp.titles()}</svg>")
    file = tmp_path / "face.gif"
    Image.new("RGB", (8, 8)).save(file, comment=stamp.comment())
    assert provenance.identify(file) == provenance.Stamp("0" * 64, "/avatar?seed=a")


def test_what_a_model_does_not_show_is_not_claimed(choosy: TestClient) -> None:
    version = choosy.get("/models/default").json()["version"]
    card: Card = state_of(choosy).engine._drawers[version].card
    traits: dict[str, str | float] = {"colour": "red", "light": "dark"}
    rows = [{"name": "colour", "shown": 0.55}, {"name": "light", "shown": 0.99}]
    evaluation = Evaluation(dataset="halves", psi=1, measures={}, traits=rows)
    weak = card.model_copy(update={"evaluation": evaluation})
    now = {"psi": 1.0, "age": None}
    assert legible_traits(traits, now, card) == traits
    assert legible_traits(traits, now, weak) == {"light": "dark"}
    assert legible_traits(traits, {**now, "age": 0.5}, card) == {}
    new_card = card.model_copy(update={"truncation": "average"})
    assert legible_traits(traits, {**now, "psi": 0.4}, new_card) == {}
    assert legible_traits(traits, {**now, "psi": 0.4}, card) == traits
