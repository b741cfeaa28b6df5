"""What can be asked of Kao's HTTP interface: each call written once, whoever sends it.

A call is what is sent and how its answer is read; `app/client/client.py` sends them.
Those of pictures are in `app/client/pictures.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.auth.schemas import Keys, NewKey, SignedUrl
from app.datasets.schemas import Dataset, Datasets
from app.registry.schemas import Alias, ModelDetails, Models
from app.training.schemas import Run, Runs
from models.keys import Scope

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Refused(Exception):
    """The server answered with a problem (RFC 9457): `status`, `type`, and all of its members."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail", f"The server answered {status}.")))
        self.status, self.problem = status, problem
        self.type = str(problem.get("type", "about:blank")).rpartition(":")[2]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how to read its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    file: Path | None = None

    def request(self) -> dict[str, Any]:
        """The arguments of httpx's `request`, the file aside."""
        query = {name: value for name, value in self.query.items() if value is not None}
        fields = {"method": self.method, "url": self.path, "params": query}
        return {**fields, "headers": dict(self.headers), "json": self.json}

    def answered(self, answer: httpx.Response) -> T:
        """What the answer says. Raises Refused."""
        if answer.is_error:
            raise refused(answer)
        return self.read(answer)


def train(idempotency_key: str | None = None, **recipe: Any) -> Call[Run]:
    """Ask for a run: `preset`, `dataset`, and whatever else of the recipe shall differ."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Call("POST", "/train", _as(Run), headers=headers, json=recipe)


def run(id: str) -> Call[Run]:
    """One run."""
    return Call("GET", f"/train/{part(id)}", _as(Run))


def runs(state: str | None = None, limit: int | None = None) -> Call[Runs]:
    """The runs, the newest first."""
    return Call("GET", "/train", _as(Runs), {"state": state, "limit": limit})


def cancel(id: str) -> Call[Run]:
    """End a run; its snapshot stays."""
    return Call("POST", f"/train/{part(id)}/cancel", _as(Run))


def resume(id: str, **changes: Any) -> Call[Run]:
    """Go on with a run that failed or was cancelled."""
    return Call("POST", f"/train/{part(id)}/resume", _as(Run), json=changes or None)


def models() -> Call[Models]:
    """The published models and the aliases."""
    return Call("GET", "/models", _as(Models))


def model(name: str) -> Call[ModelDetails]:
    """One model with its card."""
    return Call("GET", f"/models/{part(name)}", _as(ModelDetails))


def promote(version: str, force: bool = False) -> Call[Alias]:
    """Serve a model by default; `force`: though it lacks traits of the one that serves."""
    asked = {"force": "true"} if force else {}
    return Call("POST", f"/models/{part(version)}/promote", _as(Alias), asked)


def roll_back() -> Call[Alias]:
    """Serve again what served before."""
    return Call("POST", "/models/rollback", _as(Alias))


def datasets() -> Call[Datasets]:
    """What can be trained on."""
    return Call("GET", "/datasets", _as(Datasets))


def upload(name: str, file: Path, licence: str = "unstated") -> Call[Dataset]:
    """Add a zip of pictures."""
    query, zipped = {"name": name, "licence": licence}, {"Content-Type": "application/zip"}
    return Call("POST", "/datasets", _as(Dataset), query, zipped, file=file)


def delete(name: str) -> Call[None]:
    """Forget a dataset."""
    return Call("DELETE", f"/datasets/{part(name)}", lambda _: None)


def keys() -> Call[Keys]:
    """The API keys, the newest first, without the keys themselves."""
    return Call("GET", "/keys", _as(Keys))


def create_key(name: str, *scopes: Scope) -> Call[NewKey]:
    """Make a key; its answer is the only one that has it."""
    return Call("POST", "/keys", _as(NewKey), json={"name": name, "scopes": scopes})


def revoke_key(id: str) -> Call[None]:
    """From now on it opens nothing."""
    return Call("DELETE", f"/keys/{part(id)}", lambda _: None)


def sign(url: str, seconds: int | None = None) -> Call[SignedUrl]:
    """A picture's address that opens without a key, where pictures are not open to all."""
    asked = {"url": url} if seconds is None else {"url": url, "seconds": seconds}
    return Call("POST", "/sign", _as(SignedUrl), json=asked)


def refused(answer: httpx.Response) -> Refused:
    """The error that an answer of 400 or more is."""
    try:
        problem = answer.json()
    except ValueError:  # a proxy's page
        problem = {}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def _as(kind: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: kind.model_validate_json(answer.content)


def part(text: str) -> str:
    """Fit for one part of a path."""
    return quote(text, safe="")
