"""A slider changes one property of a face monotonically; at 0 it changes nothing."""

from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from models import bundle
from models.bundle import verify
from tests.support.pictures import get_pixels
from worker.publishing.slider_search import PROPERTIES

FACE = "/avatar?seed={}&size=16&format=png"


@pytest.fixture(scope="module")
def names(slid: TestClient) -> list[str]:
    """The sliders of the default model."""
    traits = slid.get("/models/default").json()["traits"]
    return [name for name, schema in traits.items() if schema["type"] == "number"]


def test_the_model_lists_them_with_their_range_and_what_they_do(
    slid: TestClient, names: list[str]
) -> None:
    assert "warmth" in names  # half of every picture is red or blue
    card = slid.get("/models/default").json()
    for slider in card["card"]["sliders"]:
        schema = card["traits"][slider["name"]]
        assert (schema["minimum"], schema["maximum"]) == (-1, 1)
        assert slider["changes"] in schema["description"]
        assert slider["obeyed"] >= 0.85


@pytest.mark.parametrize("seed", range(6))
def test_a_higher_value_is_more(slid: TestClient, seed: int) -> None:
    _, measure = PROPERTIES["warmth"]
    values = []
    for slider in ("-1", "-0.5", "0", "0.5", "1"):
        pixels = get_pixels(slid, f"{FACE.format(seed)}&warmth={slider}") / 255
        values.append(float(measure(pixels[None])[0]))
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.2


def test_at_0_it_is_the_plain_face(slid: TestClient, names: list[str]) -> None:
    plain = get_pixels(slid, FACE.format(1))
    for name in names:
        for zero in ("0", "-0", "0.0"):
            assert np.array_equal(get_pixels(slid, f"{FACE.format(1)}&{name}={zero}"), plain)


@pytest.mark.parametrize(
    "picture_type", PICTURE_TYPES, ids=lambda picture_type: picture_type.path[1:]
)
def test_every_picture_takes_them(slid: TestClient, picture_type: PictureType) -> None:
    plain, other = (slid.get(f"{picture_type.example}{query}") for query in ("", "&warmth=1"))
    if picture_type.path == "/grow":
        assert (other.status_code, other.json()["parameter"]) == (422, "age")
        return
    assert other.status_code == 200
    assert other.content != plain.content


def test_a_batch_takes_a_number(slid: TestClient) -> None:
    lines = {"Accept": "application/x-ndjson"}
    body = {"seeds": ["1"], "size": 16, "format": "png"}
    answers = [
        slid.post("/avatars", json={**body, **fields}, headers=lines).json()["content"]
        for fields in ({}, {"warmth": 1}, {"warmth": -0.5})
    ]
    assert len(set(answers)) == 3


@pytest.mark.parametrize("value", ["1.01", "-1.01", "--1", "1e0", "nan", "much", ""])
def test_a_value_out_of_range_is_refused_with_the_range(slid: TestClient, value: str) -> None:
    answer = slid.get(f"{FACE.format(1)}&warmth={value}")
    assert answer.status_code == 422
    assert (answer.json()["parameter"], "-1 to 1" in answer.json()["allowed"]) == ("warmth", True)


def test_a_model_without_it_says_so_and_is_promoted_only_by_force(
    slid: TestClient, bundles: list[Path], key: dict[str, str]
) -> None:
    plain = bundle.digest(bundles[0])
    assert slid.get(f"{FACE.format(1)}&warmth=1&model={plain}").status_code == 422
    default = slid.get("/models/default").json()["version"]
    for name in (plain, default):
        assert slid.post(f"/models/{name}/promote", headers=key).status_code == 200
    answer = slid.post(f"/models/{plain}/promote", headers=key)
    assert (answer.status_code, "warmth" in answer.json()["detail"]) == (409, True)


def test_what_a_slider_says_is_part_of_the_bundle(
    bundle_with_sliders: Path, tmp_path: Path
) -> None:
    import shutil

    from models.errors import BadBundle

    folder = shutil.copytree(bundle_with_sliders, tmp_path / "b")
    (folder / bundle.TRAITS).unlink()
    with pytest.raises(BadBundle, match=r"traits\.safetensors"):
        verify.verify(folder, bundle.digest(folder))
