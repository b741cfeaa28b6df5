"""The calls about runs, models, datasets, keys and signed addresses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from kao_client.answers import (
    Dataset,
    Key,
    Model,
    ModelDetails,
    NewKey,
    Run,
    SignedUrl,
    Upload,
    read,
)
from kao_client.calls import Call, query, segment

T = TypeVar("T")
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Scope = Literal["avatars", "read", "train", "datasets", "models", "keys"]

ZIP = {"Content-Type": "application/zip"}


def train(idempotency_key: str | None = None, **recipe: Any) -> Call[Run]:
    """Start a run: `preset`, `dataset`, and other fields of the recipe."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return Call("POST", "/train", _one(Run), headers=headers, json=recipe)


def run(id: str) -> Call[Run]:
    """Read a run."""
    return Call("GET", f"/train/{segment(id)}", _one(Run))


def runs(state: State | None = None, limit: int | None = None) -> Call[list[Run]]:
    """List runs, newest first."""
    return Call("GET", "/train", _many("runs", Run), query({"state": state, "limit": limit}))


def cancel(id: str) -> Call[Run]:
    """Cancel a run; its snapshot is kept."""
    return Call("POST", f"/train/{segment(id)}/cancel", _one(Run))


def resume(id: str, **changes: Any) -> Call[Run]:
    """Resume a failed or cancelled run; changes: of its recipe."""
    return Call("POST", f"/train/{segment(id)}/resume", _one(Run), json=changes or None)


def models() -> Call[list[Model]]:
    """List the published models, newest first."""
    return Call("GET", "/models", _many("models", Model))


def model(name: str) -> Call[ModelDetails]:
    """Read a model with its card; name: an alias, a version or its first 12 digits."""
    return Call("GET", f"/models/{segment(name)}", _one(ModelDetails))


def promote(version: str, force: bool = False) -> Call[str]:
    """Serve a model by default; its version. force: although it lacks traits of the current one."""
    parameters = {"force": "true"} if force else {}
    return Call("POST", f"/models/{segment(version)}/promote", _read_version, parameters)


def roll_back() -> Call[str]:
    """Serve the previous model again; its version."""
    return Call("POST", "/models/rollback", _read_version)


def download_model(name: str, target: Path) -> Call[str]:
    """Write all files of a model into one zip; its version."""
    path = f"/models/{segment(name)}/bundle.zip"
    return Call("GET", path, lambda answer: str(answer.headers["X-Avatar-Model"]), target=target)


def upload_model(file: Path) -> Call[Model]:
    """Add a model from such a zip."""
    return Call("POST", "/models", _one(Model), headers=ZIP, file=file)


def datasets() -> Call[list[Dataset]]:
    """List the datasets: `starter`, then the uploads by name."""
    return Call("GET", "/datasets", _many("datasets", Dataset))


def upload(name: str, file: Path, licence: str = "unstated") -> Call[Upload]:
    """Upload a zip of pictures."""
    parameters = {"name": name, "licence": licence}
    return Call("POST", "/datasets", _one(Upload), parameters, ZIP, file=file)


def delete_dataset(name: str) -> Call[None]:
    """Delete a dataset."""
    return Call("DELETE", f"/datasets/{segment(name)}", lambda _: None)


def keys() -> Call[list[Key]]:
    """List the API keys, newest first, without their secrets."""
    return Call("GET", "/keys", _many("keys", Key))


def create_key(name: str, *scopes: Scope) -> Call[NewKey]:
    """Make a key; only this answer contains it."""
    return Call("POST", "/keys", _one(NewKey), json={"name": name, "scopes": scopes})


def revoke_key(id: str) -> Call[None]:
    """Revoke a key."""
    return Call("DELETE", f"/keys/{segment(id)}", lambda _: None)


def sign(url: str, seconds: int | None = None) -> Call[SignedUrl]:
    """Sign the address of a picture, where pictures are not public."""
    body = {"url": url} if seconds is None else {"url": url, "seconds": seconds}
    return Call("POST", "/sign", _one(SignedUrl), json=body)


def _one(kind: type[T]) -> Callable[[httpx.Response], T]:
    return lambda answer: read(kind, answer.json())


def _many(name: str, kind: type[T]) -> Callable[[httpx.Response], list[T]]:
    return lambda answer: [read(kind, row) for row in answer.json()[name]]


def _read_version(answer: httpx.Response) -> str:
    return str(answer.json()["version"])
