"""The pages of the studio, and what they load: presets, previews, curves."""

import html
import io
import json
import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.datasets import contents
from app.studio import assets, forms, translations, views
from models import keys, runs
from models.recipes.presets import PRESETS
from models.recipes.recipe import Recipe, resolve
from models.registry import Registry
from tests.app.studio.types import Upload

Begin = Callable[..., str]


@pytest.fixture
def begin(registry: Registry) -> Begin:
    """Create a run that has reported (images, loss) and (images, FD) pairs; returns its id."""

    def make(
        points: Sequence[tuple[int, float]] = (),
        preset: str = "smoke",
        measured: Sequence[tuple[int, float]] = (),
    ) -> str:
        row, _ = runs.create(registry.engine, resolve({"preset": preset}), {"preset": preset})
        claim = runs.claim(registry.engine, row["id"])
        assert claim is not None
        fence = claim[1]
        for images, loss in points:
            data = {"images": images, "g_loss": loss, "d_loss": 1.0, "images_per_second": 80.0}
            runs.record(registry.engine, row["id"], fence, "run.progress", data, True)
        for images, fd in measured:
            runs.record(
                registry.engine, row["id"], fence, "run.measured", {"images": images, "fd": fd}
            )
        return str(row["id"])

    return make


def _png(colour: str, size: tuple[int, int] = (20, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_a_presets_time_is_what_runs_here_measured_and_else_unknown(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    presets = {each["name"]: each for each in client.get("/presets", headers=key).json()["presets"]}
    assert presets.keys() == PRESETS.keys()
    assert presets["smoke"]["seconds"] is None
    assert presets["modern-64"]["seconds"] == 3600
    assert presets["modern-64"]["images"] is None
    run = begin([(80, 1.0)])
    presets = {each["name"]: each for each in client.get("/presets", headers=key).json()["presets"]}
    assert presets["smoke"]["seconds"] == 8.0  # 640 images at 80 a second
    assert presets["smoke"]["measured_by"] == [run]
    assert presets["modern-64"]["images"] is None


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
    client: TestClient, key: dict[str, str], begin: Begin
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


def _lines(picture: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the curves of a chart."""
    return [one for one in picture.iter() if one.get("class") == "line reactive nofill"]


def test_a_curve_of_nothing_is_empty_and_too_many_runs_are_refused(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    run = begin([(80, 1.0)])
    assert client.get(f"/train/{run}/curves.svg?of=fd", headers=key).status_code == 204
    many = client.get(f"/train/{run}/curves.svg?beside=a,b,c,d", headers=key)
    assert (many.status_code, many.json()["parameter"]) == (422, "beside")
    assert client.get(f"/train/{run}/curves.svg?beside=none", headers=key).status_code == 404
    measured = begin(measured=[(80, 90.0), (160, 40.0)])
    assert client.get(f"/train/{measured}/curves.svg?of=fd", headers=key).status_code == 200


def test_a_long_run_keeps_its_ends_in_few_points(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    run = begin([(80 * n, 1 / n) for n in range(1, 600)])
    picture = ElementTree.fromstring(client.get(f"/train/{run}/curves.svg", headers=key).text)
    path = _lines(picture)[0].get("d")
    assert path is not None
    assert 180 <= len(path.split()) / 2 <= 242


def test_measurements_are_numbers_with_their_names(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    run = begin([(80, 1.5), (160, 0.5)], measured=[(160, 90.0)])
    answer = client.get(f"/train/{run}/curves", headers=key)
    assert answer.headers["cache-control"] == "no-store"
    curves = answer.json()["curves"]
    assert curves["losses"] == {
        "names": ["g_loss", "d_loss"],
        "points": [[80, 1.5, 1.0], [160, 0.5, 1.0]],
    }
    assert curves["fd"] == {"names": ["fd"], "points": [[160, 90.0]]}
    assert curves["speed"]["points"] == [[80, 80.0], [160, 80.0]]
    assert client.get(f"/train/{run}/curves").status_code == 401
    assert client.get("/train/none/curves", headers=key).status_code == 404


def test_measurements_of_a_long_run_keep_both_ends(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    run = begin([(80 * n, 1 / n) for n in range(1, 1001)])
    points = client.get(f"/train/{run}/curves", headers=key).json()["curves"]["losses"]["points"]
    assert len(points) <= 400
    assert (points[0][0], points[-1][0]) == (80, 80_000)


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_every_preset_and_group_of_fields_has_words(language: str) -> None:
    words = translations.words(language)
    for name in PRESETS:
        assert f"studio.preset.{name}" in words or name.endswith("-gpu"), name
    assert {f"studio.group.{group}" for group in (*forms.GROUPS, "more")} <= words.keys()


def test_a_preset_without_words_is_no_error(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "house-special", PRESETS["smoke"])
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new")
    assert page.status_code == 200
    assert "house-special" in page.text
    assert translations.words("en")["studio.preset.other"] in page.text


def test_recipes_differ_in_the_fields_that_are_not_all_the_same() -> None:
    recipes = [{"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}]
    assert views.differences(recipes) == {"b": [2, 3], "c": [None, 4]}
    assert views.differences(recipes[:1]) == {}


def test_duplicates_are_named(client: TestClient, key: dict[str, str], upload: Upload) -> None:
    red, blue = _png("red"), _png("blue")
    upload("twice", {"b.png": red, "a/a.png": red, "c.png": blue, "d.png": _png("green")})
    report = client.get("/datasets/twice/contents", headers=key).json()
    sound = {"looked": 4, "broken": 0, "broken_first": [], "left_out": []}
    assert report == {"images": 4, "duplicates": 1, "groups": [["a/a.png", "b.png"]], **sound}
    assert client.get("/datasets/starter/contents", headers=key).status_code == 404


def test_broken_pictures_are_named_with_their_reason(
    client: TestClient, key: dict[str, str], upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload("some", {"a.png": _png("red"), "b.png": _png("blue")[:50], "c.png": _png("blue")})
    report = client.get("/datasets/some/contents", headers=key).json()
    assert (report["looked"], report["broken"]) == (3, 1)
    (broken,) = report["broken_first"]
    assert broken["name"] == "b.png"
    assert "cannot be decoded" in broken["reason"]
    monkeypatch.setattr(contents, "DECODE_SECONDS", -1)  # the time for looking is over at once
    upload("more", {"a.png": _png("green"), "b.png": _png("blue")})
    report = client.get("/datasets/more/contents", headers=key).json()
    assert (report["images"], report["looked"]) == (2, 1)


def test_a_preview_shows_the_first_by_name_and_crosses_out_what_is_broken(
    client: TestClient, key: dict[str, str], upload: Upload
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


def _labelled() -> dict[str, bytes]:
    """Two hundred pictures with a class folder, and columns that are and are not labels."""
    rows = ["file_name,hat,caption,\u9ad8"]
    files = {}
    for number in range(200):
        name = f"{number:03}.png"
        files[name] = _png(f"rgb({number}, {255 - number}, {number * 7 % 256})")
        hat = "crown" if number < 2 else ("cap", "none")[number % 2]
        rows.append(f"{name},{hat},text {number},{number}")
    return {**files, "metadata.csv": "\n".join(rows).encode(), "old.psd": b"x"}


def test_a_datasets_page_shows_its_labels_and_what_is_left_out(
    client: TestClient, upload: Upload
) -> None:
    upload("faces", _labelled())
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/datasets/faces").text
    assert '<input type="checkbox" name="label" value="hat">' in page
    assert '<code>hat</code> <span class="note">3 values' in " ".join(page.split())
    assert '<code>label</code> <span translate="no">\u9ad8</span>' in page, "the column's own name"
    (crown,) = re.findall(r'<th scope="row" translate="no">crown</th>(.*?)</tr>', page, re.S)
    assert "2 · 1.0 %" in crown
    assert "rare" in crown
    assert page.count(">rare<") == 1
    (address,) = re.findall(r'src="([^"]*preview[^"]*)"', crown)
    sheet = client.get(html.unescape(address))
    assert Image.open(io.BytesIO(sheet.content)).size == (96, 48)
    assert "<code>caption</code>: 200 different texts" in page
    assert '1 × PSD is not read: <span translate="no">old.psd</span>' in page
    assert "1 × PSD is not read" in client.get("/studio/datasets").text
    assert client.get("/studio/datasets/none").status_code == 404


@pytest.mark.parametrize("place", ["", "/new", "/datasets", "/models", "/compare", "/runs/none"])
def test_no_page_tells_anything_without_a_session(
    client: TestClient, begin: Begin, place: str
) -> None:
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


def test_a_choice_of_numbers_is_sent_as_a_number(client: TestClient) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio/new").text
    assert 'data-name="enlarger_fold" data-kind="integer"' in page
    assert 'data-name="loss" data-kind="choice"' in page


def test_runs_are_listed_by_name_with_measures_and_filtered(
    client: TestClient, key: dict[str, str], begin: Begin
) -> None:
    named, other = begin([(80, 1.0)], measured=[(80, 61.25)]), begin()
    client.patch(f"/train/{named}", json={"name": "A <b>", "note": "One\nTwo"}, headers=key)
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get("/studio").text
    assert "<bdi>A &lt;b&gt;</bdi> <small>smoke" in page
    assert "FD 61.2" in page
    assert "latest.png" not in page  # neither has a sheet
    assert other in page
    page = client.get("/studio?q=a+%3Cb").text
    assert named in page
    assert other not in page
    assert 'value="a &lt;b"' in page
    assert named not in client.get("/studio?state=failed").text
    assert named in client.get("/studio?state=nonsense&limit=x").text
    assert "limit=61" in client.get("/studio?limit=1").text
    for path in (f"/studio/runs/{named}", f"/studio/compare?run={named}&run={other}"):
        assert "A &lt;b&gt;" in client.get(path).text


@pytest.mark.parametrize(("preset", "is_enlarged"), [("smoke", False), ("modern-64-flat", True)])
def test_a_run_without_an_enlarger_has_no_such_stage(
    client: TestClient, begin: Begin, preset: str, is_enlarged: bool
) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    page = client.get(f"/studio/runs/{begin(preset=preset)}").text
    assert ('data-phase="enlarging"' in page) is is_enlarged
    assert 'data-phase="publishing"' in page


def test_a_model_page_names_what_rolling_back_brings(
    client: TestClient, key: dict[str, str], versions: list[str]
) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    assert 'id="rollback"' not in client.get("/studio/models").text
    client.post(f"/models/{versions[1]}/promote?force=true", headers=key)
    client.patch(f"/models/{versions[1]}", json={"name": "Second", "note": "Mine"}, headers=key)
    for path in ("/studio/models", f"/studio/models/{versions[1]}"):
        page = client.get(path).text
        assert f"Roll back to {versions[0][:12]}" in page
        assert "Second" in page
        assert "Mine" in page
    client.patch(f"/models/{versions[0]}", json={"name": "First"}, headers=key)
    assert "Roll back to First" in client.get("/studio/models").text
    client.post("/models/rollback", headers=key)
    page = client.get(f"/studio/models/{versions[1]}").text
    assert "Make Second live for everybody?" in page
    assert "<bdi>First</bdi>" in page
    assert 'id="rollback"' not in client.get(f"/studio/models/{versions[0]}").text


def test_a_model_is_downloaded_with_read_and_uploaded_with_models(
    client: TestClient, key: dict[str, str], registry: Registry, versions: list[str]
) -> None:
    reader = keys.create(registry.engine, "reader", ["read"])[0]
    for secret, may_upload in ((_KEY, True), (reader, False)):
        client.post("/session", json={"key": secret}, headers={"Origin": "http://testserver"})
        page = client.get("/studio/models").text
        assert ('id="upload"' in page) == ('href="#upload"' in page) == may_upload
        for text in (page, client.get(f"/studio/models/{versions[0]}").text):
            assert f'href="/models/{versions[0]}/bundle.zip"' in text
        assert client.get(f"/models/{versions[0]}/bundle.zip").status_code == 200


def test_the_words_of_an_upload_are_sent_to_its_script(client: TestClient) -> None:
    client.post("/session", json={"key": _KEY}, headers={"Origin": "http://testserver"})
    script = (assets.FOLDER / "studio-models.js").read_text()
    names = set(re.findall(r"\"(studio\.[a-z_.]+)\"", script))
    assert "studio.model.uploaded" in names
    for language in ("en", "zh"):
        page = client.get(f"/studio/models?lang={language}").text
        match = re.search(r'id="words">(.*?)</script>', page, re.S)
        assert match is not None
        assert names <= json.loads(match[1]).keys()


def test_keys_and_webhooks_are_shown_to_keys_that_manage_them(
    client: TestClient, key: dict[str, str], registry: Registry
) -> None:
    hook = {"url": "https://example.com/hook"}
    created = client.post("/webhooks", json=hook, headers=key).json()
    client.post(f"/webhooks/{created['id']}/test", headers=key)
    reading, _ = keys.create(registry.engine, "reading", ["read"])
    managing, _ = keys.create(registry.engine, "managing", ["read", "keys"])
    for secret, status in ((reading, 403), (managing, 200)):
        client.post("/session", json={"key": secret}, headers={"Origin": "http://testserver"})
        page = client.get("/studio/access")
        assert page.status_code == status
        has_tab = "/studio/access" in client.get("/studio").text
        assert has_tab == (status == 200)
    assert "webhook.test" in page.text
    assert created["secret"] not in page.text
    # A key grants and revokes only scopes of its own.
    scopes = re.findall(r'name="scopes" value="(\w+)"', page.text)
    assert sorted(scopes) == ["keys", "read"]
    revocable = re.findall(r'data-do="DELETE /keys/(\w+)"', page.text)
    names = {one.id: one.name for one in keys.list_keys(registry.engine)}
    assert sorted(names[each] for each in revocable) == ["managing", "reading"]
