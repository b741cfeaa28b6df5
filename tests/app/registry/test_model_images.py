"""A model's card, for programs and for people."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models import bundle
from models.registry import Registry
from tests.app.conftest import KEY
from worker.publishing import bundle_writer

MEASURES: dict[str, float | list[float]] = {
    "samples": 5000, "floor_samples": 5000, "fd": 71.5, "fd_interval": [70.0, 73.0],
    "fd_floor": 4.2, "fd_blur2": 113.0, "kid": 0.09, "kid_floor": 0.0, "precision": 0.4,
    "recall": 0.3, "density": 0.5, "coverage": 0.2, "coverage_interval": [0.19, 0.21],
    "coverage_floor": 0.97, "novelty": 1.2, "copies": 0.004,
}  # fmt: skip
TRAIT = {"name": "hair", "values": ["a", "b"], "judge": 0.99, "shown": 0.93, "kept": 0.9}


def import_with_card(registry: Registry, source: Path, **fields: object) -> str:
    """The version of a copy of a bundle with other fields on its card."""
    folder = registry.folder(bundle.digest(source))
    copy = shutil.copytree(folder, folder.parent / "copy")
    card = bundle.Card.model_validate(bundle.read_card(copy))
    bundle_writer.write_card(copy, card.model_copy(update=fields))
    version = registry.import_folder(copy)
    shutil.rmtree(copy)
    return version


@pytest.fixture
def evaluation(registry: Registry, bundles: list[Path]) -> str:
    """The version of the first bundle with an evaluation, as of `kao evaluate --keep`."""
    version = import_with_card(registry, bundles[0], curve=[(100, 300.0), (200, 71.5)])
    result = bundle.Evaluation(
        dataset="starter", psi=1.0, measures=MEASURES, traits=[TRAIT], failures="3 of 100 <smeared>"
    )
    return bundle_writer.with_evaluation(registry, version, result, np.zeros((32, 64, 3), np.uint8))


def test_an_evaluation_changes_the_card_and_no_face(
    client: TestClient, evaluation: str, versions: list[str]
) -> None:
    assert evaluation not in versions
    faces = [
        client.get(f"/avatar?seed=1&model={name}").content for name in (evaluation, versions[0])
    ]
    before, after = (np.asarray(Image.open(io.BytesIO(face))) for face in faces)
    assert np.array_equal(before, after)
    evaluation_on_card = client.get(f"/models/{evaluation}").json()["card"]["evaluation"]
    assert (evaluation_on_card["measures"]["fd"], evaluation_on_card["traits"][0]["shown"]) == (
        71.5,
        0.93,
    )


def test_the_page_shows_what_the_card_says(client: TestClient, evaluation: str) -> None:
    answer = client.get(f"/models/{evaluation}/card")
    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["content-security-policy"]
    for text in (
        "71.5",
        "113",
        "93.0 %",
        "0.4 %",
        "3 of 100 &lt;smeared&gt;",
        "CC0-1.0",
        evaluation,
    ):
        assert text in answer.text, text


def test_measures_of_the_run_itself_have_the_names_of_an_evaluations(
    client: TestClient, registry: Registry, bundles: list[Path]
) -> None:
    measures = {"images": 640.0, "samples": 64.0, "fd": 98.7, "fd_error": 1.5, "coverage": 0.25}
    version = import_with_card(registry, bundles[0], measures=measures)
    page = client.get(f"/models/{version}/card").text
    assert "<dt>FD-Lite0</dt><dd>98.7</dd>" in page
    assert "<dt>Coverage</dt><dd>0.25</dd>" in page
    assert "fd_error" not in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_model_has_a_page(client: TestClient, versions: list[str], language: str) -> None:
    answer = client.get(f"/models/{versions[1]}/card?lang={language}")
    assert answer.status_code == 200
    assert f'lang="{language}"' in answer.text


@pytest.mark.parametrize("name", ["samples.png", "nearest.png", "curve.svg"])
def test_the_pictures_of_a_card_are_served(client: TestClient, evaluation: str, name: str) -> None:
    answer = client.get(f"/models/{evaluation}/{name}")
    assert answer.status_code == 200
    kind = "svg+xml" if name.endswith("svg") else "png"
    assert answer.headers["content-type"] == f"image/{kind}"


@pytest.mark.parametrize("name", ["nearest.png", "curve.svg"])
def test_a_picture_that_a_card_lacks_is_a_404_that_says_how_to_make_it(
    client: TestClient, versions: list[str], name: str
) -> None:
    answer = client.get(f"/models/{versions[0]}/{name}")
    assert answer.status_code == 404
    assert "evaluate" in answer.json()["detail"] or "measure_every" in answer.json()["detail"]


def test_what_is_no_picture_or_script_is_404(client: TestClient) -> None:
    for path in ("/models/default/other.png", "/local/other.js"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("page", ["card", "samples.png", "curve.svg"])
def test_the_pages_of_an_unknown_model_are_404(client: TestClient, page: str) -> None:
    assert client.get(f"/models/{'0' * 64}/{page}").status_code == 404


def test_the_card_is_json_too(evaluation: str, registry: Registry) -> None:
    path = registry.folder(evaluation) / bundle.CARD
    assert json.loads(path.read_text())["evaluation"]["failures"] == "3 of 100 <smeared>"


def test_the_studio_shows_what_people_see_and_the_card_may_name_a_psi(
    client: TestClient, registry: Registry, evaluation: str
) -> None:
    served = {**MEASURES, "fd": 48.25, "size": 256.0}
    result = bundle.Evaluation(dataset="starter", psi=1.0, measures=MEASURES, served=served)
    pictures = np.zeros((32, 64, 3), np.uint8)
    version = bundle_writer.with_evaluation(registry, evaluation, result, pictures, 0.7)
    assert client.get(f"/models/{version}").json()["card"]["psi"] == 0.7
    assert client.get(f"/models/{evaluation}").json()["card"]["psi"] == 1
    client.post("/session", json={"key": KEY}, headers={"Origin": "http://testserver"})
    page = client.get(f"/studio/models/{version}").text
    assert "FD-Lite0 · 256 px</dt><dd>48.2<" in page
    assert "71.5" not in page
