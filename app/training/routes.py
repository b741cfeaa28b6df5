"""Runs over HTTP: start, read, cancel and resume them."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, BackgroundTasks, Body, Depends, Header, Query, Request, Response

from app.auth.scopes import needs
from app.http.path_prefix import Root
from app.http.query_string import Only
from app.state import State
from app.training import schemas, service
from app.training.schemas import Run, Runs
from models import runs
from models.name_and_note import Description, Name, Note
from models.runs import RunState

log = structlog.get_logger()
router = APIRouter(prefix="/train", tags=["training"])

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
    dependencies=[needs("train"), Depends(Only("name", "note"))],
    summary="Train a model",
)
def create(
    state: State,
    root: Root,
    request: Request,
    tasks: BackgroundTasks,
    response: Response,
    body: Annotated[dict[str, Any], Body(openapi_examples=_EXAMPLES)],
    idempotency_key: Annotated[
        str | None,
        Header(description="Repeating a request with the same key and body gives the same run."),
    ] = None,
    name: Annotated[Name, Query(description="What people call the run.")] = "",
    note: Annotated[Note, Query()] = "",
) -> Run:
    """A preset and the fields to change. 202 also while Redis is down: the run is stored.

    503 and no run where Redis answers but accepts no writes.
    """
    owner = request.state.key.id
    description = Description(name=name, note=note)
    row, is_new = service.start(state, tasks, body, owner, idempotency_key, description)
    # Connects the request's id to the run's, which the worker's log lines carry.
    log.info("run.requested", run=row["id"], new=is_new)
    response.headers["Location"] = f"/train/{row['id']}"
    return schemas.run(row, root)


@router.get(
    "",
    dependencies=[needs("read"), Depends(Only("state", "limit"))],
    summary="List the runs, newest first",
)
def list_runs(
    state: State,
    root: Root,
    run_state: Annotated[RunState | None, Query(alias="state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Runs:
    """All runs, or those in one state."""
    rows = runs.list_runs(state.database, limit, run_state)
    return Runs(runs=[schemas.run(row, root) for row in rows])


@router.get("/{run}", dependencies=[needs("read"), Depends(Only())], summary="Read a run")
def show(state: State, root: Root, run: str, response: Response) -> Run:
    """Its state, progress, error, and the version that it published."""
    response.headers["Cache-Control"] = "no-store"
    return schemas.run(runs.get(state.database, run), root)


@router.patch(
    "/{run}", dependencies=[needs("train"), Depends(Only())], summary="Name a run, or note"
)
def describe(state: State, root: Root, run: str, body: Description) -> Run:
    """Change its name, its note, or both, in any state. The training is not affected."""
    return schemas.run(runs.describe(state.database, run, body), root)


@router.post(
    "/{run}/cancel",
    status_code=202,
    dependencies=[needs("train"), Depends(Only())],
    summary="Cancel a run",
)
def cancel(state: State, root: Root, run: str) -> Run:
    """A queued run at once, a running one at its next step; its snapshot is kept."""
    return schemas.run(runs.cancel(state.database, run), root)


@router.post(
    "/{run}/resume",
    status_code=202,
    dependencies=[needs("train"), Depends(Only())],
    summary="Resume a run",
)
def resume(
    state: State,
    root: Root,
    run: str,
    tasks: BackgroundTasks,
    body: Annotated[dict[str, Any] | None, Body(examples=[{"minutes": 60}])] = None,
) -> Run:
    """Queue a failed or cancelled run again; it continues from its last snapshot.

    A run that waits stays where it is in the queue and takes the changes. The body may change
    recipe fields that can change within a run: lengths, rates, weights.
    """
    return schemas.run(service.resume(state, tasks, run, body), root)
