"""A run as clients see it."""

from typing import Any

from pydantic import BaseModel, Field

from models.runs import FINAL, MOVES, Row


class Run(BaseModel):
    """One training job."""

    id: str = Field(examples=["3f2a9c0d1b7e4a55"])
    state: str = Field(examples=["running"])
    recipe: dict[str, Any] = Field(description="Every hyperparameter, defaults filled in.")
    progress: dict[str, Any] | None = Field(description="The newest, as its events have it.")
    error: str | None
    version: str | None = Field(description="The model that it published.")
    created: str
    started: str | None
    finished: str | None
    attempt: int
    cancelling: bool
    links: dict[str, str]


class Runs(BaseModel):
    """Several, the newest first."""

    runs: list[Run]


def run(row: Row) -> Run:
    """A database row without what is the worker's own."""
    here = f"/train/{row['id']}"
    links = {"self": here, "events": f"{here}/events", "sheets": f"{here}/sheets"}
    links |= {
        move: f"{here}/{move}" for move in ("cancel", "resume") if row["state"] in MOVES[move][0]
    }
    if row["version"] is not None:
        links["model"] = f"/models/{row['version']}"
    shown = {name: row[name] for name in Run.model_fields if name in row}
    cancelling = bool(row["cancel"]) and row["state"] not in FINAL
    return Run(**shown, cancelling=cancelling, links=links)
