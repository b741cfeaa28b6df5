"""The calls about published models."""

from pathlib import Path
from typing import Literal

import httpx

from kao_client.answers import Model, ModelDetails, content, many, one
from kao_client.calls import ZIP, Call, query, segment
from kao_client.training import Theme

Image = Literal["samples", "nearest"]


def models() -> Call[list[Model]]:
    """List the published models, newest first."""
    return Call("GET", "/models", many("models", Model))


def model(name: str) -> Call[ModelDetails]:
    """Read a model with its card; name: an alias, a version or its first 12 digits."""
    return Call("GET", f"/models/{segment(name)}", one(ModelDetails))


def describe_model(model: str, name: str | None = None, note: str | None = None) -> Call[Model]:
    """Change a model's name, its note, or both; an empty text removes it."""
    body = query({"name": name, "note": note})
    return Call("PATCH", f"/models/{segment(model)}", one(Model), json=body)


def model_image(name: str, image: Image = "samples") -> Call[bytes]:
    """A PNG of a model's faces; `nearest`: with the training pictures that are most like them."""
    return Call("GET", f"/models/{segment(name)}/{image}.png", content)


def model_chart(name: str, theme: Theme | None = None) -> Call[bytes]:
    """A chart of a model's FD-Lite0 during training as an SVG."""
    return Call("GET", f"/models/{segment(name)}/curve.svg", content, query({"theme": theme}))


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
    return Call("POST", "/models", one(Model), headers=ZIP, file=file)


def _read_version(answer: httpx.Response) -> str:
    return str(answer.json()["version"])
