"""A slider moves one thing of a face, further the further it is pushed; at 0 nothing moves."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.avatars.request.picture_types import PICTURE_TYPES
from models import bundle
from models.bundle import verify
from worker.publishing.slider_search import PROPERTIES

FACE = "/avatar?seed={}&size=16&format=png"


@pytest.fixture(scope="module")
def names(slid):
    """Those of the default model."""
    told = slid.get("/models/default").json()["traits"]
    return [name for name, schema in told.items() if schema["type"] == "number"]


def _pixels(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(float) / 255


def test_the_model_lists_them_with_their_range_and_what_they_do(slid, names) -> None:
    assert "warmth" in names  # half of every picture is red or blue
    card = slid.get("/models/default").json()
    for slider in card["card"]["sliders"]:
        told = card["traits"][slider["name"]]
        assert (told["minimum"], told["maximum"]) == (-1, 1)
        assert slider["changes"] in told["description"]
        assert slider["obeyed"] >= 0.85


@pytest.mark.parametrize("seed", range(6))
def test_further_is_more(slid, seed) -> None:
    _, measure = PROPERTIES["warmth"]
    found = []
    for value in ("-1", "-0.5", "0", "0.5", "1"):
        pixels = _pixels(slid, f"{FACE.format(seed)}&warmth={value}")
        found.append(float(measure(pixels[None])[0]))
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.2


def test_at_rest_it_is_the_plain_face(slid, names) -> None:
    plain = _pixels(slid, FACE.format(1))
    for name in names:
        for rest in ("0", "-0", "0.0"):
            assert np.array_equal(_pixels(slid, f"{FACE.format(1)}&{name}={rest}"), plain)


@pytest.mark.parametrize("kind", PICTURE_TYPES, ids=lambda kind: kind.path[1:])
def test_every_picture_takes_them(slid, kind) -> None:
    plain, moved = (slid.get(f"{kind.example}{more}") for more in ("", "&warmth=1"))
    if kind.path == "/grow":
        assert (moved.status_code, moved.json()["parameter"]) == (422, "age")
        return
    assert moved.status_code == 200
    assert moved.content != plain.content


def test_a_batch_takes_a_number(slid) -> None:
    lines = {"Accept": "application/x-ndjson"}
    body = {"seeds": ["1"], "size": 16, "format": "png"}
    answers = [
        slid.post("/avatars", json={**body, **more}, headers=lines).json()["content"]
        for more in ({}, {"warmth": 1}, {"warmth": -0.5})
    ]
    assert len(set(answers)) == 3


@pytest.mark.parametrize("value", ["1.01", "-1.01", "--1", "1e0", "nan", "much", ""])
def test_a_value_out_of_range_is_refused_with_the_range(slid, value) -> None:
    answer = slid.get(f"{FACE.format(1)}&warmth={value}")
    assert answer.status_code == 422
    assert (answer.json()["parameter"], "-1 to 1" in answer.json()["allowed"]) == ("warmth", True)


def test_a_model_without_it_says_so_and_is_promoted_by_force_alone(
    slid, bundles: list[Path], key: dict[str, str]
) -> None:
    plain = bundle.digest(bundles[0])
    assert slid.get(f"{FACE.format(1)}&warmth=1&model={plain}").status_code == 422
    chosen = slid.get("/models/default").json()["version"]
    for name in (plain, chosen):
        assert slid.post(f"/models/{name}/promote", headers=key).status_code == 200
    answer = slid.post(f"/models/{plain}/promote", headers=key)
    assert (answer.status_code, "warmth" in answer.json()["detail"]) == (409, True)


def test_what_a_slider_says_is_part_of_the_bundle(steered, tmp_path: Path) -> None:
    import shutil

    from models.errors import BadBundle

    folder = shutil.copytree(steered, tmp_path / "b")
    (folder / bundle.TRAITS).unlink()
    with pytest.raises(BadBundle, match=r"traits\.safetensors"):
        verify.verify(folder, bundle.digest(folder))
