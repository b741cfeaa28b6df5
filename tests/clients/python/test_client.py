"""`kao-client` reads every answer of the server."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from kao_client import Refused
from models import runs
from models.registry import Registry
from models.settings import Settings
from models.storage import layout
from tests.app.conftest import Start
from tests.clients.python.conftest import Caller


def test_a_face_says_what_it_is(kao: Caller, url: str, versions: list[str]) -> None:
    options = {"size": 64, "format": "webp", "model": "default", "psi": 0.5}
    face = kao.call(url, "avatar", "顔 & 1", **options)
    assert (face.seed, face.model, face.media_type) == ("顔 & 1", versions[0], "image/webp")
    assert Image.open(io.BytesIO(face.content)).size == (64, 64)
    random = kao.call(url, "avatar")
    assert kao.call(url, "avatar", random.seed).content == random.content


def test_a_face_is_described(kao: Caller, url: str) -> None:
    description = kao.call(url, "describe", "ada")
    assert (description.seed, description.alt["zh"]) == ("ada", "一张脸")


TEAM = {"a,b": 2, "c:1": 0.5}
PICTURES: list[tuple[str, list[Any], dict[str, Any], str]] = [
    (
        "avatar",
        ["a"],
        {"psi": 1e-5, "variant": 3, "format": "png"},
        "/avatar?seed=a&psi=0.00001&variant=3",
    ),
    ("morph", ["a", "b", 0.5], {"size": 32}, "/morph?from=a&to=b&t=0.5&size=32"),
    ("morph", ["a", "b"], {"frames": 3, "fps": 9.5}, "/morph?from=a&to=b&frames=3&fps=9.5"),
    ("walk", ["a", 2], {"frames": 4, "size": 16}, "/walk?seed=a&stops=2&frames=4&size=16"),
    ("grow", ["a"], {"frames": 2, "size": 16}, "/grow?seed=a&frames=2&size=16"),
    ("mix", ["a", "b", 1], {"shape": "circle"}, "/mix?coarse=a&fine=b&at=1&shape=circle"),
    ("blend", [TEAM], {}, "/blend?seeds=a%252Cb:2,c%253A1:0.5"),
    ("family", [("a,b", "c"), 2], {"gap": 3}, "/family?parents=a%252Cb,c&children=2&gap=3"),
    ("family", [("a", "b")], {"child": 1}, "/family?parents=a,b&child=1"),
    ("sheet", [["a", ","]], {"columns": 1}, "/sheet?seeds=a,%252C&columns=1"),
    ("sheet", [], {"count": 3, "start": 5, "dpr": 2}, "/sheet?count=3&start=5&dpr=2"),
    ("og", ["a"], {"shape": "rounded"}, "/og?seed=a&shape=rounded"),
]


def test_a_picture_is_the_one_of_its_address(kao: Caller, url: str, http: httpx.Client) -> None:
    for method, arguments, options, address in PICTURES:
        picture = kao.call(url, method, *arguments, **options)
        plain = http.get(url + address)
        assert picture.content == plain.content, address
        assert picture.media_type == plain.headers["content-type"]
        assert picture.model == plain.headers["x-avatar-model"]


def test_a_batch_comes_as_its_members(kao: Caller, url: str, http: httpx.Client) -> None:
    members = kao.call(url, "avatars", ["a", "顔", "a"], distinct=True, size=32)
    assert [member.seed for member in members] == ["a", "顔", "a"]
    assert members[0].variant == 0 != members[2].variant
    assert members[0].alt["en"] == "a face"
    for member in members:
        assert http.get(url + member.address).content == member.content


def test_traits_are_sent_as_parameters(kao: Caller, url: str) -> None:
    with pytest.raises(Refused, match="this model has no traits"):
        kao.call(url, "avatar", "a", traits={"hair_colour": "pink"})


def test_a_run_is_started_read_cancelled_and_resumed(kao: Caller, url: str) -> None:
    run = kao.call(url, "train", "a key", preset="smoke", images=64)
    assert (run.state, run.recipe["images"]) == ("queued", 64)
    assert kao.call(url, "train", "a key", preset="smoke", images=64).id == run.id
    assert kao.call(url, "run", run.id) == run
    assert kao.call(url, "cancel", run.id).state == "cancelled"
    assert [row.id for row in kao.call(url, "runs", "cancelled", 5)] == [run.id]
    assert kao.call(url, "runs", "running") == []
    assert kao.call(url, "resume", run.id).state == "queued"


def test_a_run_is_named_and_noted(kao: Caller, url: str) -> None:
    run = kao.call(url, "train", name="First", note="a try", preset="smoke")
    assert (run.name, run.note) == ("First", "a try")
    assert kao.call(url, "describe_run", run.id, name="Second").note == "a try"
    assert kao.call(url, "describe_run", run.id, note="") == kao.call(url, "run", run.id)
    described_run = kao.call(url, "run", run.id)
    assert (described_run.name, described_run.note) == ("Second", None)


def test_what_a_run_measured_is_read(
    kao: Caller, url: str, registry: Registry, settings: Settings, run: str
) -> None:
    assert kao.call(url, "run_chart", run) == b""
    assert kao.call(url, "run_sheets", run) == []
    claim = runs.claim(registry.engine, run)
    assert claim is not None
    for images in (64, 128):
        losses = {"images": images, "g_loss": 1.5, "d_loss": 0.5}
        runs.record(registry.engine, run, claim[1], "run.progress", losses, True)
    folder = settings.home / layout.sheets(run)
    folder.mkdir(parents=True)
    for number in (64, 128):
        (folder / f"{number:09}.png").write_bytes(b"%d" % number)
    losses = kao.call(url, "run_curves", run)["losses"]
    assert (losses.names, losses.points[-1]) == (["g_loss", "d_loss"], [128, 1.5, 0.5])
    assert b"<svg" in kao.call(url, "run_chart", run, "losses", [run], "dark", 320, 200)
    assert kao.call(url, "run_sheets", run) == ["000000064.png", "000000128.png"]
    assert kao.call(url, "run_sheet", run) == b"128"
    assert kao.call(url, "run_sheet", run, "000000064.png") == b"64"


def test_the_presets_are_listed(kao: Caller, url: str) -> None:
    presets = kao.call(url, "presets")
    recipes = {preset.name: preset.recipe for preset in presets.presets}
    assert recipes["smoke"]["preset"] == "smoke"
    assert "minutes" in presets.recipe_schema["properties"]


def test_a_model_is_named(kao: Caller, url: str, versions: list[str]) -> None:
    assert kao.call(url, "describe_model", versions[0], name="Ada").name == "Ada"
    assert kao.call(url, "model", "default").name == "Ada"
    assert kao.call(url, "describe_model", versions[0], "", "a note").name is None


def test_the_pictures_of_a_model_are_read(kao: Caller, url: str) -> None:
    assert Image.open(io.BytesIO(kao.call(url, "model_image", "default"))).format == "PNG"
    with pytest.raises(Refused, match="not evaluated"):
        kao.call(url, "model_image", "default", "nearest")
    with pytest.raises(Refused, match="did not measure itself"):
        kao.call(url, "model_chart", "default", "dark")


def test_models_are_listed_promoted_and_rolled_back(
    kao: Caller, url: str, versions: list[str]
) -> None:
    assert {row.version for row in kao.call(url, "models")} == set(versions)
    assert kao.call(url, "model", "default").card["format"] == 1
    assert kao.call(url, "promote", versions[1]) == versions[1]
    assert kao.call(url, "avatar", "1").model == versions[1]
    assert kao.call(url, "roll_back") == versions[0]


def test_a_model_is_carried_to_another_server(
    kao: Caller, url: str, start: Start, versions: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "model.zip"
    assert kao.call(url, "download_model", versions[2][:12], file) == versions[2]
    other = start(home=tmp_path / "other", public_avatars=True).url
    assert kao.call(other, "upload_model", file).version == versions[2]
    assert versions[2] in [row.version for row in kao.call(other, "models")]
    with pytest.raises(Refused, match="There is no model"):
        kao.call(url, "download_model", "nobody", tmp_path / "none.zip")
    assert list(tmp_path.glob("*none*")) == []


def test_a_key_is_made_used_and_revoked(kao: Caller, url: str) -> None:
    new_key = kao.call(url, "create_key", "ci", "read", "train")
    assert new_key.scopes == ["read", "train"]
    other = type(kao)(new_key.key)
    assert other.call(url, "runs") == []
    kao.call(url, "revoke_key", new_key.id)
    with pytest.raises(Refused) as refusal:
        other.call(url, "runs")
    assert refusal.value.status == 401
    revocations = {key.id: key.revoked for key in kao.call(url, "keys")}
    assert revocations[new_key.id] is not None


def test_an_address_is_signed_where_pictures_are_not_open(
    kao: Caller, start: Start, registry: Registry, http: httpx.Client
) -> None:
    private = start(public_avatars=False).url
    address = kao.call(private, "sign", "/avatar?seed=42", seconds=60).url
    assert http.get(f"{private}/avatar?seed=42").status_code == 401
    assert http.get(private + address).status_code == 200


@pytest.mark.parametrize(
    ("method", "argument", "options", "status", "type"),
    [
        pytest.param("avatar", "1", {"size": 0}, 422, "invalid-parameter", id="parameter"),
        pytest.param("model", "nobody", {}, 404, "unknown-model", id="unknown"),
        pytest.param("run", "../models", {}, 404, "not-found", id="a-path-stays-one-part"),
        pytest.param("delete_dataset", "starter", {}, 422, "unusable-dataset", id="starter"),
    ],
)
def test_a_refusal_is_an_error_with_the_problem(
    kao: Caller,
    url: str,
    method: str,
    argument: str,
    options: Mapping[str, Any],
    status: int,
    type: str,
) -> None:
    with pytest.raises(Refused) as refusal:
        kao.call(url, method, argument, **options)
    assert (refusal.value.status, refusal.value.type) == (status, type)
    assert str(refusal.value) == refusal.value.problem["detail"]


def test_a_server_says_what_it_serves_or_why_not(
    kao: Caller, url: str, start: Start, versions: list[str], tmp_path: Path
) -> None:
    readiness = kao.call(url, "readiness")
    assert (readiness.version, readiness.refused) == (versions[0], {})
    empty = start(home=tmp_path / "empty").url
    with pytest.raises(Refused) as refusal:
        kao.call(empty, "readiness")
    assert refusal.value.status == 503
