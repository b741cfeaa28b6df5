"""Training over HTTP: asking for a run, looking at it, ending it."""

from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, BackgroundTasks, Body, Depends, Header, Query, Response

from app.auth.scopes import needs
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import Services, services
from app.training import schemas
from app.training.queue import check, wake
from app.training.schemas import Run, Runs
from models import runs
from models.datasets import catalogue
from models.recipes import inheritance
from models.recipes.recipe import Recipe

log = structlog.get_logger()
router = APIRouter(prefix="/train", tags=["training"])
Held = Annotated[Services, Depends(services)]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
LONGEST_KEY = 200

_EXAMPLES: Any = {
    "starter": {
        "summary": "Three minutes on the starter set",
        "value": {"preset": "modern-64", "dataset": "starter", "minutes": 3},
    },
    "tutorial": {
        "summary": "The tutorial's own network",
        "value": {"preset": "classic", "epochs": 10, "generator": {"learning_rate": 0.0002}},
    },
    "extend": {
        "summary": "Half an hour more for a finished run",
        "value": {"start_from": "3f2a9c0d1b7e4a55", "minutes": 30},
    },
    "fine-tune": {
        "summary": "A published model on other pictures",
        "value": {"start_from": "default", "dataset": "faces", "minutes": 30},
    },
}


@router.post(
    "",
    status_code=202,
    dependencies=[needs("train"), Depends(Only())],
    summary="Train a model",
)
def create(
    held: Held,
    tasks: BackgroundTasks,
    response: Response,
    body: Annotated[dict[str, Any], Body(openapi_examples=_EXAMPLES)],
    idempotency_key: Annotated[
        str | None, Header(description="Asked again with the same key and body: the same run.")
    ] = None,
) -> Run:
    """A preset and the fields to change. 202 also while Redis is down: the run is kept.

    503 and no run where Redis is there but full.
    """
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= LONGEST_KEY:
        allowed = f"1 to {LONGEST_KEY} characters"
        raise InvalidParameter("Idempotency-Key", "has the wrong length", allowed)
    recipe = _resolved(held, body)
    check(held.settings)
    row, new = runs.create(held.database, recipe, body, idempotency_key)
    # The line that ties a request's id to its run's, which the worker's lines carry.
    log.info("run.asked", run=row["id"], new=new)
    response.headers["Location"] = f"/train/{row['id']}"
    # After the answer: a Redis that hangs costs the client nothing.
    tasks.add_task(wake, held.settings)
    return schemas.run(row)


@router.get(
    "",
    dependencies=[needs("read"), Depends(Only("state", "limit"))],
    summary="The runs, newest first",
)
def listed(
    held: Held,
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Runs:
    """All of them, or those in one state."""
    rows = runs.list_runs(held.database, limit, state)
    return Runs(runs=[schemas.run(row) for row in rows])


@router.get("/{run}", dependencies=[needs("read"), Depends(Only())], summary="One run")
def show(held: Held, run: str, response: Response) -> Run:
    """Its state, progress, error, and the version it published."""
    response.headers["Cache-Control"] = "no-store"
    return schemas.run(runs.get(held.database, run))


@router.post(
    "/{run}/cancel",
    status_code=202,
    dependencies=[needs("train"), Depends(Only())],
    summary="Stop a run",
)
def cancel(held: Held, run: str) -> Run:
    """At once while it waits, at its next step while it runs; its snapshot stays."""
    return schemas.run(runs.cancel(held.database, run))


@router.post(
    "/{run}/resume",
    status_code=202,
    dependencies=[needs("train"), Depends(Only())],
    summary="Go on with a run",
)
def resume(
    held: Held,
    run: str,
    tasks: BackgroundTasks,
    body: Annotated[dict[str, Any] | None, Body(examples=[{"minutes": 60}])] = None,
) -> Run:
    """A failed or cancelled run waits again, and goes on from its last snapshot.

    The body may change recipe fields that mean something within a run: lengths, rates, weights.
    """
    changed = inheritance.change(runs.get(held.database, run)["recipe"], body) if body else None
    check(held.settings)
    row = runs.resume(held.database, run, changed)
    tasks.add_task(wake, held.settings)
    return schemas.run(row)


def _resolved(held: Services, body: dict[str, Any]) -> Recipe:
    recipe = inheritance.resolve(held.database, held.registry, body)
    if recipe.dataset not in catalogue.BUILT_IN:
        catalogue.get(held.database, recipe.dataset)
    return recipe
