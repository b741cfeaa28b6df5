"""The calls about runs and presets."""

from collections.abc import Sequence
from typing import Any, Literal

import httpx

from kao_client.answers import Curve, Presets, Run, content, many, one, read
from kao_client.calls import Call, query, segment

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Measure = Literal["losses", "fd", "speed"]
Theme = Literal["light", "dark"]


def presets() -> Call[Presets]:
    """The presets with their training times on this server, and the schema of recipes."""
    return Call("GET", "/presets", one(Presets))


def train(
    idempotency_key: str | None = None,
    name: str | None = None,
    note: str | None = None,
    **recipe: Any,
) -> Call[Run]:
    """Start a run: `preset`, `dataset`, and other fields of the recipe."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    parameters = query({"name": name, "note": note})
    return Call("POST", "/train", one(Run), parameters, headers, json=recipe)


def run(id: str) -> Call[Run]:
    """Read a run."""
    return Call("GET", f"/train/{segment(id)}", one(Run))


def runs(state: State | None = None, limit: int | None = None) -> Call[list[Run]]:
    """List runs, newest first."""
    return Call("GET", "/train", many("runs", Run), query({"state": state, "limit": limit}))


def describe_run(id: str, name: str | None = None, note: str | None = None) -> Call[Run]:
    """Change a run's name, its note, or both; an empty text removes it."""
    return Call(
        "PATCH", f"/train/{segment(id)}", one(Run), json=query({"name": name, "note": note})
    )


def cancel(id: str) -> Call[Run]:
    """Cancel a run; its snapshot is kept."""
    return Call("POST", f"/train/{segment(id)}/cancel", one(Run))


def resume(id: str, **changes: Any) -> Call[Run]:
    """Resume a failed or cancelled run; changes: of its recipe."""
    return Call("POST", f"/train/{segment(id)}/resume", one(Run), json=changes or None)


def run_sheets(id: str) -> Call[list[str]]:
    """List the names of a run's sample sheets, oldest first."""
    return Call("GET", f"/train/{segment(id)}/sheets", _read_names)


def run_sheet(id: str, name: str = "latest.png") -> Call[bytes]:
    """A sample sheet as a PNG."""
    return Call("GET", f"/train/{segment(id)}/sheets/{segment(name)}", content)


def run_curves(id: str) -> Call[dict[str, Curve]]:
    """A run's losses, FD-Lite0 and speed as numbers."""
    return Call("GET", f"/train/{segment(id)}/curves", _read_curves)


def run_chart(
    id: str,
    of: Measure | None = None,
    beside: Sequence[str] | None = None,
    theme: Theme | None = None,
    width: int | None = None,
    height: int | None = None,
) -> Call[bytes]:
    """A chart of a run as an SVG; empty before the first measurement. beside: other runs."""
    ids = None if beside is None else ",".join(beside)
    options = {"of": of, "beside": ids, "theme": theme, "width": width, "height": height}
    return Call("GET", f"/train/{segment(id)}/curves.svg", content, query(options))


def _read_names(answer: httpx.Response) -> list[str]:
    return [address.rpartition("/")[2] for address in answer.json()]


def _read_curves(answer: httpx.Response) -> dict[str, Curve]:
    return {name: read(Curve, curve) for name, curve in answer.json()["curves"].items()}
