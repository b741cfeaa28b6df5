"""The form of a new run: what the address fills in, and the preset that fits the pictures."""

import io
import json
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models import runs
from models.name_and_note import Description
from models.recipes.recipe import resolve
from models.registry import Registry
from tests.app.studio.types import Upload
from tests.support.drawings import draw_flat, draw_photograph

_KEY = "kao_a-key-for-the-tests"


def test_labels_that_were_ticked_arrive_in_the_form_of_a_run(client: TestClient) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new?dataset=starter&label=hair_colour&label=glasses").text
    start = json.loads(re.findall(r'id="start">(.*?)</script>', page)[0])
    assert start == {"recipe": {}, "dataset": "starter", "labels": ["hair_colour", "glasses"]}


def test_the_form_offers_what_a_run_can_start_from(client: TestClient, registry: Registry) -> None:
    recipe, name = resolve({"preset": "smoke"}), Description(name="Faces <1>")
    with_snapshot, _ = runs.create(registry.engine, recipe, {"preset": "smoke"}, description=name)
    runs.create(registry.engine, recipe, {"preset": "smoke"})  # without one
    claim = runs.claim(registry.engine, with_snapshot["id"])
    assert claim is not None
    runs.snapshot(registry.engine, with_snapshot["id"], claim[1], "1.pt", {"images": 80})
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new").text
    (offered,) = re.findall(r'<datalist id="sources">(.*?)</datalist>', page)
    values = re.findall(r'<option value="([^"]+)">', offered)
    versions = {row["version"][:12] for row in registry.list_models()}
    assert set(values) == versions | {with_snapshot["id"]}
    assert "Faces &lt;1&gt;" in offered
    assert re.search(r'id="f-start_from"[^>]* list="sources"', page.replace("\n", " "))


@pytest.mark.parametrize(("preset", "is_open"), [("smoke", False), ("modern-64-gpu", True)])
def test_presets_for_a_gpu_are_unfolded_where_one_is_chosen(
    client: TestClient, preset: str, is_open: bool
) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get(f"/studio/new?preset={preset}").text
    ((unfolded, presets),) = re.findall(
        r"<details( open)?><summary>Presets for a GPU(.*?)</details>", page, re.S
    )
    assert bool(unfolded) is is_open
    assert 'value="modern-64-gpu"' in presets
    assert 'value="modern-64"' not in presets


def _pngs(draw: Callable[[int], Image.Image]) -> dict[str, bytes]:
    files = {}
    for number in range(8):
        file = io.BytesIO()
        draw(number).save(file, "PNG")
        files[f"{number}.png"] = file.getvalue()
    return files


@pytest.mark.parametrize(
    ("draw", "preset", "words"),
    [
        pytest.param(draw_flat, "modern-64-flat", "“faces” is flat, drawn art", id="flat"),
        pytest.param(draw_photograph, "modern-64", "“faces” has shaded pictures", id="photos"),
    ],
)
def test_the_form_selects_the_preset_that_fits_the_pictures(
    client: TestClient,
    upload: Upload,
    draw: Callable[[int], Image.Image],
    preset: str,
    words: str,
) -> None:
    upload("faces", _pngs(draw))
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new?dataset=faces").text
    assert _selected_preset(page) == preset
    assert words in _reason(page)
    assert "The first run on “starter”" not in page
    assert "The first run on “starter”" in client.get("/studio/new").text
    page = client.get("/studio/new?dataset=faces&preset=smoke").text
    assert _selected_preset(page) == "smoke", "the address says what"
    assert 'id="fit"' not in page
    assert client.get("/studio/new?dataset=none").status_code == 404


def test_a_form_without_a_dataset_fits_the_starter_set_and_knows_what_fits_the_others(
    client: TestClient, upload: Upload
) -> None:
    upload("faces", _pngs(draw_flat))
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new").text
    assert _selected_preset(page) == "modern-64-flat"
    assert "“starter” is flat" in _reason(page)
    options = re.findall(r'<option value="([\w-]+)" data-preset="([\w-]+)"', page)
    assert dict(options)["starter"] == "modern-64-flat"
    assert {name for name, _ in options} >= {"starter", "faces"}


def _reason(page: str) -> str:
    (reason,) = re.findall(r'id="fit">(.*?)<', page)
    return str(reason)


def _selected_preset(page: str) -> str:
    (name,) = re.findall(r'name="preset" value="([^"]+)" checked', page)
    return str(name)
