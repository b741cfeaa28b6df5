"""The calls: a request, and how its answer is read. They do not depend on how it is sent."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

import httpx

from kao_client.answers import Description, Face, Member, Model, Picture, Run, read

T = TypeVar("T")
Value = str | int | float | None
Traits = Mapping[str, str | float]


class Refused(Exception):
    """The server answered with a problem (RFC 9457): `status`, `type`, and all of its members."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail", f"The server answered {status}.")))
        self.status, self.problem = status, problem
        self.type = str(problem.get("type", "about:blank")).rpartition(":")[2]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the function that reads its answer. file: what is sent as the body."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    file: Path | None = None

    def request(self) -> dict[str, Any]:
        """The arguments of httpx's `request`, without the file."""
        names = {"method": self.method, "url": self.path, "params": dict(self.query)}
        return {**names, "headers": dict(self.headers), "json": self.json}

    def result(self, answer: httpx.Response) -> T:
        """The content of the answer. Raises Refused."""
        if answer.is_error:
            raise refusal(answer)
        return self.read(answer)


def refusal(answer: httpx.Response) -> Refused:
    """The error of an answer with a status of 400 or more."""
    try:
        problem = answer.json()
    except ValueError:  # the page of a proxy
        problem = {}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def segment(text: str) -> str:
    """Percent-encode a segment of a path."""
    return quote(text, safe="")


def query(parameters: Mapping[str, Value], traits: Traits | None = None) -> dict[str, str]:
    """Parameters as texts, without those that are None."""
    pairs = {**parameters, **(traits or {})}
    return {name: _text(value) for name, value in pairs.items() if value is not None}


def _text(value: str | int | float) -> str:
    if isinstance(value, float):  # the server reads no exponents
        return f"{value:.20f}".rstrip("0").rstrip(".")
    return str(value)


def picture(path: str, parameters: Mapping[str, Value], traits: Traits | None) -> Call[Picture]:
    """Any picture."""
    return Call("GET", path, _picture, query(parameters, traits))


def avatar(seed: str | None, parameters: Mapping[str, Value], traits: Traits | None) -> Call[Face]:
    """The face of a seed, or of a random one."""
    return Call("GET", "/avatar", _face, query({"seed": seed, **parameters}, traits))


def describe(
    seed: str, parameters: Mapping[str, Value], traits: Traits | None
) -> Call[Description]:
    """The face of a seed in words."""
    texts = query({"seed": seed, **parameters, "format": "json"}, traits)
    return Call("GET", "/avatar", lambda answer: read(Description, answer.json()), texts)


def avatars(
    seeds: Sequence[str], distinct: bool, parameters: Mapping[str, Value], traits: Traits | None
) -> Call[list[Member]]:
    """Several faces in the order of their seeds."""
    body = {"seeds": list(seeds), "distinct": distinct, **query(parameters, traits)}
    headers = {"Accept": "application/x-ndjson"}
    return Call("POST", "/avatars", _members, headers=headers, json=body)


def train(recipe: Mapping[str, Any], idempotency_key: str | None) -> Call[Run]:
    """Start a run."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Call("POST", "/train", _run, headers=headers, json=dict(recipe))


def run(id: str, move: str = "", changes: Mapping[str, Any] | None = None) -> Call[Run]:
    """Read a run, or apply a move to it: `cancel`, `resume`."""
    path = f"/train/{segment(id)}"
    if not move:
        return Call("GET", path, _run)
    return Call("POST", f"{path}/{move}", _run, json=dict(changes) if changes else None)


def runs(state: str | None, limit: int | None) -> Call[list[Run]]:
    """List runs, newest first."""

    def read_runs(answer: httpx.Response) -> list[Run]:
        return [read(Run, row) for row in answer.json()["runs"]]

    return Call("GET", "/train", read_runs, query({"state": state, "limit": limit}))


def models() -> Call[list[Model]]:
    """List the published models, newest first."""

    def read_models(answer: httpx.Response) -> list[Model]:
        return [read(Model, row) for row in answer.json()["models"]]

    return Call("GET", "/models", read_models)


def promote(version: str, force: bool) -> Call[str]:
    """Serve a model by default; its version."""
    parameters = {"force": "true"} if force else {}
    return Call("POST", f"/models/{segment(version)}/promote", _version, parameters)


def roll_back() -> Call[str]:
    """Serve the previous model again; its version."""
    return Call("POST", "/models/rollback", _version)


def upload(name: str, file: Path, licence: str) -> Call[Mapping[str, Any]]:
    """Upload a zip of pictures."""
    headers = {"Content-Type": "application/zip"}
    texts = {"name": name, "licence": licence}
    return Call("POST", "/datasets", lambda answer: dict(answer.json()), texts, headers, file=file)


def _run(answer: httpx.Response) -> Run:
    return read(Run, answer.json())


def _version(answer: httpx.Response) -> str:
    return str(answer.json()["version"])


def _picture(answer: httpx.Response) -> Picture:
    headers = answer.headers
    return Picture(answer.content, headers["Content-Type"], headers["X-Avatar-Model"])


def _face(answer: httpx.Response) -> Face:
    headers = answer.headers
    seed = unquote(headers["X-Avatar-Seed"])
    return Face(answer.content, headers["Content-Type"], headers["X-Avatar-Model"], seed)


def _members(answer: httpx.Response) -> list[Member]:
    model, lines = answer.headers["X-Avatar-Model"], answer.text.splitlines()
    return [_member(json.loads(line), model) for line in lines]


def _member(members: dict[str, Any], model: str) -> Member:
    content = base64.b64decode(members.pop("content"))
    return read(
        Member, {**members, "content": content, "media_type": members["type"], "model": model}
    )
