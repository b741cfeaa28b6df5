"""Liveness and readiness."""

from fastapi import APIRouter, Response

from app.state import State
from models.registry import DEFAULT

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="The process answers")
async def live(response: Response) -> dict[str, str]:
    """200 as long as the event loop runs."""
    response.headers["Cache-Control"] = "no-store"
    return {"status": "live"}


@router.get("/ready", summary="A verified default model is loaded")
async def ready(response: Response, state: State) -> dict[str, str | list[str] | dict[str, str]]:
    """200 with the version that `/avatar` serves; otherwise 503 with the reason.

    `degraded`: faces are served, but something else is wrong; `problems` lists what. `ills` is
    the same list under its former name, until the next release.
    """
    response.headers["Cache-Control"] = "no-store"
    version = state.engine.current(DEFAULT)
    problems = state.engine.problems()
    return {
        "status": "degraded" if problems else "ready",
        "version": version,
        "refused": state.engine.reasons(),
        "problems": problems,
        "ills": problems,
    }
