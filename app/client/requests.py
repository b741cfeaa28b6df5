"""The calls of Kao's HTTP interface, independent of how they are sent.

A call is a request and the function that reads its answer; `app/client/client.py` sends it. Calls
of pictures are in `app/client/pictures.py`.
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
    """A request, and the function that reads its answer."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    file: Path | None = None

    def request(self) -> dict[str, Any]:
        """The arguments of httpx's `request`, without the file."""
        query = {name: value for name, value in self.query.items() if value is not None}
        fields = {"method": self.method, "url": self.path, "params": query}
        return {**fields, "headers": dict(self.headers), "json": self.json}

    def result(self, answer: httpx.Response) -> T:
        """The content of the answer. Raises Refused."""
        if answer.is_error:
            raise refusal(answer)
        return self.read(answer)


def train(idempotency_key: str | None = None, **recipe: Any) -> Call[Run]:
    """Start a run: `preset`, `dataset`, and other fields of the recipe."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Call("POST", "/train", _as(Run), headers=headers, json=recipe)


def run(id: str) -> Call[Run]:
    """Read a run."""
    return Call("GET", f"/train/{path_segment(id)}", _as(Run))


def runs(state: str | None = None, limit: int | None = None) -> Call[Runs]:
    """List the runs, newest first."""
    return Call("GET", "/train", _as(Runs), {"state": state, "limit": limit})


def cancel(id: str) -> Call[Run]:
    """Cancel a run; its snapshot is kept."""
    return Call("POST", f"/train/{path_segment(id)}/cancel", _as(Run))


def resume(id: str, **changes: Any) -> Call[Run]:
    """Resume a failed or cancelled run."""
    return Call("POST", f"/train/{path_segment(id)}/resume", _as(Run), json=changes or None)


def models() -> Call[Models]:
    """List the published models and the aliases."""
    return Call("GET", "/models", _as(Models))


def model(name: str) -> Call[ModelDetails]:
    """Read a model with its card."""
    return Call("GET", f"/models/{path_segment(name)}", _as(ModelDetails))


def promote(version: str, force: bool = False) -> Call[Alias]:
    """Serve a model by default; force: although it lacks traits of the current one."""
    query = {"force": "true"} if force else {}
    return Call("POST", f"/models/{path_segment(version)}/promote", _as(Alias), query)


def roll_back() -> Call[Alias]:
    """Serve the previous model again."""
    return Call("POST", "/models/rollback", _as(Alias))


def datasets() -> Call[Datasets]:
    """List the datasets."""
    return Call("GET", "/datasets", _as(Datasets))


def upload(name: str, file: Path, licence: str = "unstated") -> Call[Dataset]:
    """Upload a zip of pictures."""
    query, headers = {"name": name, "licence": licence}, {"Content-Type": "application/zip"}
    return Call("POST", "/datasets", _as(Dataset), query, headers, file=file)


def delete(name: str) -> Call[None]:
    """Delete a dataset."""
    return Call("DELETE", f"/datasets/{path_segment(name)}", lambda _: None)


def keys() -> Call[Keys]:
    """List the API keys, newest first, without their secrets."""
    return Call("GET", "/keys", _as(Keys))


def create_key(name: str, *scopes: Scope) -> Call[NewKey]:
    """Make a key; only this answer contains it."""
    return Call("POST", "/keys", _as(NewKey), json={"name": name, "scopes": scopes})


def revoke_key(id: str) -> Call[None]:
    """Revoke a key."""
    return Call("DELETE", f"/keys/{path_segment(id)}", lambda _: None)


def sign(url: str, seconds: int | None = None) -> Call[SignedUrl]:
    """Sign the address of a picture, where pictures are not public."""
    body = {"url": url} if seconds is None else {"url": url, "seconds": seconds}
    return Call("POST", "/sign", _as(SignedUrl), json=body)


def refusal(answer: httpx.Response) -> Refused:
    """The error of an answer with a status of 400 or more."""
    try:
        problem = answer.json()
    except ValueError:  # the page of a proxy
        problem = {}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def _as(kind: type[M]) -> Callable[[httpx.Response], M]:
    return lambda answer: kind.model_validate_json(answer.content)


def path_segment(text: str) -> str:
    """Percent-encode a segment of a path."""
    return quote(text, safe="")
