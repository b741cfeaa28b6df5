"""`kao-client` reads every answer of the server."""

import inspect
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import httpx
import pytest
from PIL import Image

from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from app.main import create_app
from kao_client import AsyncClient, Client, Refused, pictures, requests
from kao_client.calls import Call
from models import keys
from models.registry import Registry
from models.settings import Settings
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


@pytest.mark.parametrize("kind", PICTURE_TYPES, ids=lambda kind: kind.name)
def test_the_options_of_a_picture_are_the_parameters_of_its_route(kind: PictureType) -> None:
    make: Callable[..., Call[Any]] = getattr(pictures, kind.name)
    signature = inspect.signature(make)
    names = {name for name in signature.parameters if name != "options"}
    (options,) = get_args(signature.parameters["options"].annotation)
    names |= options.__annotations__.keys() - {"traits"}
    renamed = {"start": "from", "end": "to"} if kind.name == "morph" else {}
    renamed |= {"weights": "seeds"} if kind.name == "blend" else {}
    assert {renamed.get(name, name) for name in names} == set(kind.names)
    for name, values in get_type_hints(options).items():
        if name != "traits" and get_args(values):
            assert set(get_args(values)) == set(kind.by_name[name].schema["enum"])


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


def test_the_scopes_are_those_of_the_server() -> None:
    assert set(get_args(requests.Scope)) == set(keys.SCOPES)


def test_an_address_is_signed_where_pictures_are_not_open(
    kao: Caller, start: Start, registry: Registry, http: httpx.Client
) -> None:
    private = start(public_avatars=False).url
    address = kao.call(private, "sign", "/avatar?seed=42", seconds=60).url
    assert http.get(f"{private}/avatar?seed=42").status_code == 401
    assert http.get(private + address).status_code == 200


def test_a_dataset_is_uploaded_listed_and_deleted(kao: Caller, url: str, tmp_path: Path) -> None:
    file = tmp_path / "faces.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(12):
            picture = io.BytesIO()
            Image.new("RGB", (40, 40), (number * 20, 90, 9)).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue())
    upload = kao.call(url, "upload", "mine", file, "CC0-1.0")
    assert (upload.images, upload.left_out) == (12, [])
    names = [row.name for row in kao.call(url, "datasets")]
    assert names == ["starter", "mine"]
    kao.call(url, "delete_dataset", "mine")
    assert len(kao.call(url, "datasets")) == 1


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


MAKERS: dict[str, Callable[..., Call[Any]]] = {
    name: make
    for module in (pictures, requests)
    for name, make in vars(module).items()
    if inspect.isfunction(make) and make.__module__ == module.__name__ and name[0] != "_"
}


def test_both_clients_have_a_method_for_each_call() -> None:
    for client in (Client, AsyncClient):
        methods = {name for name in vars(client) if not name.startswith("_")}
        assert methods == MAKERS.keys() | {"send", "follow", "close"}
        for name, make in MAKERS.items():
            assert inspect.unwrap(getattr(client, name)) is make


def test_every_call_is_a_route_of_the_app(settings: Settings) -> None:
    paths = create_app(settings).openapi()["paths"]
    for name, make in MAKERS.items():
        required = [
            parameter.annotation
            for parameter in inspect.signature(make).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        call = make(*map(EXAMPLES.get, map(str, required)))
        route = next((path for path in paths if _matches(path, call.path)), None)
        assert route is not None, name
        operation = paths[route].get(call.method.lower())
        assert operation is not None, f"{call.method} {route}"
        parameters = {row["name"] for row in operation.get("parameters", [])}
        assert set(call.query) <= parameters, name


EXAMPLES: dict[str, Any] = {
    "<class 'str'>": "x",
    "<class 'pathlib.Path'>": Path("x.zip"),
    "tuple[str, str]": ("a", "b"),
    "collections.abc.Sequence[str]": ["a"],
    "collections.abc.Mapping[str, float]": {"a": 1.0},
}


def _matches(route: str, path: str) -> bool:
    parts, segments = route.split("/"), path.split("/")
    return len(parts) == len(segments) and all(
        part == segment or part.startswith("{")
        for part, segment in zip(parts, segments, strict=True)
    )
