"""`kao-client` has a call for every operation of the API, with its parameters and its answer."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from app.avatars.request.picture_types import PICTURE_TYPES, PictureType
from app.main import create_app
from kao_client import (
    AsyncClient,
    Client,
    administration,
    answers,
    dataset_calls,
    model_calls,
    pictures,
    training,
)
from kao_client.calls import Call
from models import keys
from models.settings import Settings
from models.webhooks import EventType

Document = Mapping[str, Any]
MODULES = (pictures, training, model_calls, dataset_calls, administration)
MAKERS: dict[str, Callable[..., Call[Any]]] = {
    name: make
    for module in MODULES
    for name, make in vars(module).items()
    if inspect.isfunction(make) and make.__module__ == module.__name__ and name[0] != "_"
}

WITHOUT_CALL = {
    "GET /avatar/random": "`avatar` without a seed answers with the face itself",
    "GET /avatar/{name}": "`avatar` has the same face",
    "GET /train/presets": "another address of `presets`",
    "GET /train/{run}/events": "`follow`, which is no single request",
    "GET /models/{name}/browser.json": "for drawing in a browser, which clients/js does",
    "GET /models/{version}/browser/{name}": "for drawing in a browser, which clients/js does",
    "POST /session": "logs a browser in; programs send their key",
    "DELETE /session": "logs a browser out",
    "GET /health/live": "for the manager of the process",
    "GET /metrics": "for Prometheus",
}
# Of calls that read no dataclass, or another one than the schema's name says.
SCHEMA_NAMES = {"DatasetDetails": "Details", "Upload": "Uploaded"}
WITHOUT_SCHEMA = {"Description", "Event", "Face", "Member", "Picture", "Readiness"}
WITHOUT_DATACLASS = {
    "Alias": "the calls return its version",
    "Attribute": "of the manifest for browsers",
    "BrowserFile": "of the manifest for browsers",
    "BrowserModel": "of the manifest for browsers",
    "Datasets": "a list",
    "Deliveries": "a list",
    "Description": "a request",
    "KeyRequest": "a request",
    "Keys": "a list",
    "Login": "a request",
    "Measurements": "a dictionary",
    "Models": "a list",
    "Problem": "`Refused` has it",
    "Runs": "a list",
    "Session": "of a browser",
    "SignRequest": "a request",
    "WebhookRequest": "a request",
    "Webhooks": "a list",
}
EXAMPLES: dict[str, Any] = {
    "str": "x",
    "int": 1,
    "bool": True,
    "float": 0.5,
    "Path": Path("x.zip"),
    "tuple[str, str]": ("a", "b"),
    "Sequence[str]": ["a"],
    "Mapping[str, float]": {"a": 1.0},
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """The OpenAPI document of the app."""
    return create_app(Settings(home=tmp_path_factory.mktemp("home"))).openapi()


def test_both_clients_have_a_method_for_each_call() -> None:
    for client in (Client, AsyncClient):
        methods = {name for name in vars(client) if not name.startswith("_")}
        assert methods == MAKERS.keys() | {"send", "follow", "close"}
        for name, make in MAKERS.items():
            assert inspect.unwrap(getattr(client, name)) is make


def test_every_operation_has_a_call_or_a_reason(document: Document) -> None:
    called_operations = {_operation(document, _example(make)) for make in MAKERS.values()}
    assert called_operations | WITHOUT_CALL.keys() == set(_operations(document))
    assert not called_operations & WITHOUT_CALL.keys()


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - vars(pictures).keys()))
def test_a_call_has_the_parameters_of_its_operation(name: str, document: Document) -> None:
    call = _example(MAKERS[name], with_options=True)
    method, path = _operation(document, call).split()
    parameters = document["paths"][path][method.lower()].get("parameters", [])
    names = {row["name"] for row in parameters if row["in"] == "query"}
    assert call.query.keys() == names
    headers = {row["name"] for row in parameters if row["in"] == "header"}
    assert {key.lower() for key in call.headers} - {"content-type"} == headers


def test_dataclasses_have_the_members_of_their_schemas(document: Document) -> None:
    schemas = document["components"]["schemas"]
    kinds = {name: kind for name, kind in vars(answers).items() if hasattr(kind, "__match_args__")}
    schema_names = {SCHEMA_NAMES.get(name, name) for name in kinds.keys() - WITHOUT_SCHEMA}
    assert schema_names | WITHOUT_DATACLASS.keys() == schemas.keys()
    for name in kinds.keys() - WITHOUT_SCHEMA:
        properties = schemas[SCHEMA_NAMES.get(name, name)]["properties"]
        assert {field.name for field in fields(kinds[name])} == properties.keys(), name


@pytest.mark.parametrize("kind", PICTURE_TYPES, ids=lambda kind: kind.name)
def test_the_options_of_a_picture_are_the_parameters_of_its_route(kind: PictureType) -> None:
    make: Callable[..., Call[Any]] = getattr(pictures, kind.name)
    signature = inspect.signature(make)
    names = {name for name in signature.parameters if name != "options"}
    (options,) = get_args(signature.parameters["options"].annotation)
    names |= options.__annotations__.keys() - {"traits"}
    new_names = {"start": "from", "end": "to"} if kind.name == "morph" else {}
    new_names |= {"weights": "seeds"} if kind.name == "blend" else {}
    assert {new_names.get(name, name) for name in names} == set(kind.names)
    for name, values in get_type_hints(options).items():
        if name != "traits" and get_args(values):
            assert set(get_args(values)) == set(kind.by_name[name].schema["enum"])


def test_the_words_are_those_of_the_server() -> None:
    assert set(get_args(administration.Scope)) == set(keys.SCOPES)
    assert get_args(administration.EventType) == get_args(EventType)


def _operations(document: Document) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method in operations:
            yield f"{method.upper()} {path}"


def _operation(document: Document, call: Call[Any]) -> str:
    """The operation of a call: of several that match, the one with the fewest placeholders."""
    routes = [
        route
        for route, operations in document["paths"].items()
        if call.method.lower() in operations and _pattern(route).fullmatch(call.path)
    ]
    assert routes, f"{call.method} {call.path}"
    return f"{call.method} {min(routes, key=lambda route: route.count('{'))}"


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(route)))


def _example(make: Callable[..., Call[Any]], with_options: bool = False) -> Call[Any]:
    """A call with its required arguments, or with all."""
    arguments = {
        name: _argument(parameter.annotation)
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and (with_options or parameter.default is parameter.empty)
    }
    return make(**arguments)


def _argument(annotation: Any) -> Any:
    """A value of a parameter's type; of a union or a literal, of its first member."""
    members = get_args(annotation)
    if str(annotation).startswith("typing.Literal"):
        return members[0]
    if type(None) in members:
        return _argument(members[0])
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    name = re.sub(r"(\w+\.)+", "", str(annotation) if members else text)
    return EXAMPLES[name]
