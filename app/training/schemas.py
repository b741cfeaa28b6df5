"""Runs as clients see them."""

from typing import Any

from pydantic import BaseModel, Field

from models.runs import FINAL, MOVES, Row


class Run(BaseModel):
    """One training job."""

    id: str = Field(examples=["3f2a9c0d1b7e4a55"])
    name: str | None = Field(description="What people call it.")
    note: str | None
    state: str = Field(examples=["running"])
    recipe: dict[str, Any] = Field(description="Every hyperparameter, with defaults filled in.")
    progress: dict[str, Any] | None = Field(description="The data of its newest progress event.")
    error: str | None
    version: str | None = Field(description="The model that it published.")
    created: str
    started: str | None
    finished: str | None
    attempt: int
    cancelling: bool
    links: dict[str, str]


class Runs(BaseModel):
    """Several runs, newest first."""

    runs: list[Run]


def run(row: Row, root: str = "") -> Run:
    """A database row without the fields that only workers use.

    root: the path that Kao is served below, which links begin with.
    """
    path = f"{root}/train/{row['id']}"
    links = {"self": path, "events": f"{path}/events", "sheets": f"{path}/sheets"}
    links |= {
        move: f"{path}/{move}" for move in ("cancel", "resume") if row["state"] in MOVES[move][0]
    }
    if row["version"] is not None:
        links["model"] = f"{root}/models/{row['version']}"
    fields = {name: row[name] for name in Run.model_fields if name in row}
    is_cancelling = bool(row["cancel"]) and row["state"] not in FINAL
    return Run(**fields, cancelling=is_cancelling, links=links)
