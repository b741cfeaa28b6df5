"""Training over HTTP: asking for a run, looking at it, ending it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Body, Depends, Header, Query, Response

from app.errors import InvalidParameter
from app.limits import LARGEST_JSON
from app.parameters import Only
from app.security import require_key
from app.services import Services, services
from app.training import representation
from app.training.queue import wake
from app.training.representation import Run, Runs
from models import recipes, runs
from models.datasets import catalogue
from models.errors import InvalidRecipe
from models.recipes import Recipe

router = APIRouter(
    prefix="/train",
    tags=["training"],
    dependencies=[Depends(require_key)],
    max_body_size=LARGEST_JSON,
)
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
}


@router.post("", status_code=202, dependencies=[Depends(Only())], summary="Train a model")
def create(
    held: Held,
    tasks: BackgroundTasks,
    response: Response,
    body: Annotated[dict[str, Any], Body(openapi_examples=_EXAMPLES)],
    idempotency_key: Annotated[
        str | None, Header(description="Asked again with the same key and body: the same run.")
    ] = None,
) -> Run:
    """A preset and the fields to change. 202 also while Redis is down: the run is kept."""
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= LONGEST_KEY:
        allowed = f"1 to {LONGEST_KEY} characters"
        raise InvalidParameter("Idempotency-Key", "has the wrong length", allowed)
    recipe = _resolved(held, body)
    row, _ = runs.create(held.database, recipe, body, idempotency_key)
    response.headers["Location"] = f"/train/{row['id']}"
    # After the answer: a Redis that hangs costs the client nothing.
    tasks.add_task(wake, held.settings)
    return representation.run(row)


@router.get("", dependencies=[Depends(Only("state", "limit"))], summary="The runs, newest first")
def listed(
    held: Held,
    state: Annotated[State | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Runs:
    """All of them, or those in one state."""
    rows = runs.listed(held.database, limit, state)
    return Runs(runs=[representation.run(row) for row in rows])


@router.get("/{run}", dependencies=[Depends(Only())], summary="One run")
def show(held: Held, run: str, response: Response) -> Run:
    """Its state, progress, error, and the version it published."""
    response.headers["Cache-Control"] = "no-store"
    return representation.run(runs.get(held.database, run))


@router.post("/{run}/cancel", status_code=202, dependencies=[Depends(Only())], summary="Stop a run")
def cancel(held: Held, run: str) -> Run:
    """At once while it waits, at its next step while it runs; its snapshot stays."""
    return representation.run(runs.cancel(held.database, run))


@router.post(
    "/{run}/resume", status_code=202, dependencies=[Depends(Only())], summary="Go on with a run"
)
def resume(held: Held, run: str, tasks: BackgroundTasks) -> Run:
    """A failed or cancelled run waits again, and goes on from its last snapshot."""
    row = runs.resume(held.database, run)
    tasks.add_task(wake, held.settings)
    return representation.run(row)


def _resolved(held: Services, body: dict[str, Any]) -> Recipe:
    preset = body.get("preset", "modern-64")
    if not isinstance(preset, str):
        raise InvalidRecipe([{"field": "preset", "problem": "must be a preset's name"}])
    recipe = recipes.resolve(body)
    if recipe.dataset != catalogue.STARTER:
        catalogue.get(held.database, recipe.dataset)
    return recipe
