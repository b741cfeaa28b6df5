"""Liveness and readiness."""

from fastapi import APIRouter, Response

from app.avatars.state import PictureState, PictureStateDep
from app.monitoring.faults import Fault
from app.monitoring.watchdog import is_stuck
from models.registry import DEFAULT

router = APIRouter(prefix="/health", tags=["health"])


@router.get(
    "/live",
    summary="The process answers, and no drawing is stuck",
    responses={503: {"description": "A drawing thread is stuck; the process ends by itself."}},
)
async def live(response: Response, state: PictureStateDep) -> dict[str, str]:
    """200 as long as the event loop runs and every drawing ends."""
    response.headers["Cache-Control"] = "no-store"
    if is_stuck(state.engine.longest_run()):
        response.status_code = 503
        return {"status": "stuck"}
    return {"status": "live"}


@router.get("/ready", summary="A verified default model is loaded")
async def ready(response: Response, state: PictureStateDep) -> dict[str, object]:
    """200 with the version that `/avatar` serves; otherwise 503 with the reason.

    `degraded`: faces are served, but something else is wrong; `problems` lists what, and `codes`
    for programs: `model-refused`, `database-unreachable`, and where a run waits
    `queue-unreachable`, `no-worker` or `run-waiting`. `oldest_waiting_run`: the seconds that the
    first of the waiting runs has waited, or null. `ills` is `problems` under its former name, until
    the next release.
    """
    response.headers["Cache-Control"] = "no-store"
    version = state.engine.current(DEFAULT)
    faults = all_faults(state)
    problems = [fault.text for fault in faults]
    oldest = state.queue_watch.state.oldest
    return {
        "status": "degraded" if faults else "ready",
        "version": version,
        "refused": state.engine.reasons(),
        "problems": problems,
        "codes": [fault.code for fault in faults],
        "oldest_waiting_run": None if oldest is None else round(oldest),
        "ills": problems,
    }


def all_faults(state: PictureState) -> list[Fault]:
    """Everything that is wrong while faces are served."""
    waiting = state.queue_watch.state.fault
    return [*state.engine.faults(), *([waiting] if waiting else [])]
