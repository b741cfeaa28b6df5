"""What the studio asks for beside what was there: presets, previews, curves, and its pages."""

import io
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.datasets import contents
from app.studio import forms, translations
from models import runs
from models.recipes.recipe import PRESETS, Recipe, resolve
from models.registry import Registry

FOLDER = Path(translations.__file__).parent


@pytest.fixture
def begin(registry: Registry):
    """A run that reported: (images, losses) each; its id."""

    def make(points=(), preset="smoke", measured=()):
        row, _ = runs.create(registry.engine, resolve({"preset": preset}), {"preset": preset})
        _, fence = runs.claim(registry.engine, row["id"])
        for images, loss in points:
            told = {"images": images, "g_loss": loss, "d_loss": 1.0, "images_per_second": 80.0}
            runs.record(registry.engine, row["id"], fence, "run.progress", told, True)
        for images, fd in measured:
            runs.record(
                registry.engine, row["id"], fence, "run.measured", {"images": images, "fd": fd}
            )
        return row["id"]

    return make


@pytest.fixture
def upload(client: TestClient, key: dict[str, str]):
    """Upload files by name as a dataset."""

    def make(name, files) -> None:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            for path, data in files.items():
                archive.writestr(path, data)
        answer = client.post(f"/datasets?name={name}", content=body.getvalue(), headers=key)
        assert answer.status_code == 201, answer.text

    return make


def _png(colour, size=(20, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_a_presets_time_is_what_runs_here_measured_and_else_unknown(
    client: TestClient, key: dict[str, str], begin
) -> None:
    told = {each["name"]: each for each in client.get("/presets", headers=key).json()["presets"]}
    assert told.keys() == PRESETS.keys()
    assert told["smoke"]["seconds"] is None
    assert told["modern-64"]["seconds"] == 3600
    assert told["modern-64"]["images"] is None
    run = begin([(80, 1.0)])
    told = {each["name"]: each for each in client.get("/presets", headers=key).json()["presets"]}
    assert told["smoke"]["seconds"] == 8.0  # 640 images at 80 a second
    assert told["smoke"]["measured_by"] == [run]
    assert told["modern-64"]["images"] is None


def test_the_form_has_every_field_of_a_recipe_once() -> None:
    controls = [one for group in forms.groups(Recipe.model_json_schema()).values() for one in group]
    names = [control.name for control in controls]
    assert len(names) == len(set(names))
    tops = {name.partition(".")[0] for name in names}
    assert tops == Recipe.model_fields.keys() - {"preset"}
    assert {"generator.beta1", "discriminator.learning_rate"} <= set(names)
    by_name = {control.name: control for control in controls}
    assert by_name["batch"].limits == {"min": 2, "max": 4096}
    assert by_name["loss"].choices == ("bce", "logistic", "relativistic")
    assert by_name["minutes"].optional
    assert all(control.help for control in controls)


def test_curves_are_svg_with_a_line_for_each_loss(
    client: TestClient, key: dict[str, str], begin
) -> None:
    run, other = begin([(80, 1.0), (160, 0.5), (240, 0.7)]), begin([(80, 2.0), (160, 1.5)])
    answer = client.get(f"/train/{run}/curves.svg?theme=dark", headers=key)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    alone, beside = (
        ElementTree.fromstring(client.get(f"/train/{run}/curves.svg{query}", headers=key).text)
        for query in ("", f"?beside={other}")
    )
    assert [len(_lines(picture)) for picture in (alone, beside)] == [2, 4]


def _lines(picture):
    return [one for one in picture.iter() if one.get("class") == "line reactive nofill"]


def test_a_curve_of_nothing_is_empty_and_too_many_runs_are_refused(
    client: TestClient, key: dict[str, str], begin
) -> None:
    run = begin([(80, 1.0)])
    assert client.get(f"/train/{run}/curves.svg?of=fd", headers=key).status_code == 204
    many = client.get(f"/train/{run}/curves.svg?beside=a,b,c,d", headers=key)
    assert (many.status_code, many.json()["parameter"]) == (422, "beside")
    assert client.get(f"/train/{run}/curves.svg?beside=none", headers=key).status_code == 404
    measured = begin(measured=[(80, 90.0), (160, 40.0)])
    assert client.get(f"/train/{measured}/curves.svg?of=fd", headers=key).status_code == 200


def test_a_long_run_keeps_its_ends_in_few_points(
    client: TestClient, key: dict[str, str], begin
) -> None:
    run = begin([(80 * n, 1 / n) for n in range(1, 600)])
    picture = ElementTree.fromstring(client.get(f"/train/{run}/curves.svg", headers=key).text)
    (path,) = [one.get("d") for one in _lines(picture)][:1]
    assert 180 <= len(path.split()) / 2 <= 242


def test_duplicates_are_told_by_name(client: TestClient, key: dict[str, str], upload) -> None:
    red, blue = _png("red"), _png("blue")
    upload("twice", {"b.png": red, "a/a.png": red, "c.png": blue, "d.png": _png("green")})
    told = client.get("/datasets/twice/contents", headers=key).json()
    sound = {"looked": 4, "broken": 0, "broken_first": []}
    assert told == {"images": 4, "duplicates": 1, "groups": [["a/a.png", "b.png"]], **sound}
    assert client.get("/datasets/starter/contents", headers=key).status_code == 404


def test_broken_pictures_are_told_by_name_and_reason(
    client: TestClient, key: dict[str, str], upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload("some", {"a.png": _png("red"), "b.png": _png("blue")[:50], "c.png": _png("blue")})
    told = client.get("/datasets/some/contents", headers=key).json()
    assert (told["looked"], told["broken"]) == (3, 1)
    (broken,) = told["broken_first"]
    assert broken["name"] == "b.png"
    assert "cannot be decoded" in broken["reason"]
    monkeypatch.setattr(contents, "LOOKING", -1)  # s: whoever looks for ever blocks a thread
    upload("more", {"a.png": _png("green"), "b.png": _png("blue")})
    told = client.get("/datasets/more/contents", headers=key).json()
    assert (told["images"], told["looked"]) == (2, 1)


def test_a_preview_shows_the_first_by_name_and_crosses_out_what_is_broken(
    client: TestClient, key: dict[str, str], upload
) -> None:
    upload("some", {"a.png": _png("red"), "b.png": _png("blue")[:50], "c.png": _png("blue")})
    answer = client.get("/datasets/some/preview.webp?columns=2&size=32", headers=key)
    assert answer.headers["content-type"] == "image/webp"
    sheet = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).astype(int)
    assert sheet.shape == (64, 64, 3)
    for (top, left), colour in {(16, 16): (255, 0, 0), (48, 16): (0, 0, 255)}.items():
        assert abs(sheet[top, left] - colour).max() < 40
    assert sheet[4, 48].min() > 200  # pale beside the cross
    assert sheet[40:, 40:].max() < 20  # no fourth


@pytest.mark.parametrize("place", ["", "/new", "/datasets", "/models", "/compare", "/runs/none"])
def test_no_page_tells_anything_without_a_session(client: TestClient, begin, place) -> None:
    run = begin([(80, 1.0)])
    page = client.get(f"/studio{place}")
    assert 'id="login"' in page.text
    assert run not in page.text


def test_a_page_that_is_not_there_says_so(client: TestClient) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/runs/none")
    assert page.status_code == 404
    assert page.headers["cache-control"] == "no-store"
    assert client.get("/studio/compare?run=none").status_code == 404


_KEY = "kao_a-key-for-the-tests"
