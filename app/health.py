"""Whether this process lives, and whether it can serve a face."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.state import Services, services
from models.registry import DEFAULT

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="The process answers")
async def live(response: Response) -> dict[str, str]:
    """200 as long as the event loop turns."""
    response.headers["Cache-Control"] = "no-store"
    return {"status": "live"}


@router.get("/ready", summary="A verified default model is loaded")
async def ready(
    response: Response, held: Annotated[Services, Depends(services)]
) -> dict[str, str | list[str] | dict[str, str]]:
    """200 with the version that `/avatar` serves; else 503 with the reason.

    `degraded`: faces are served, but not all is as it should be; `ills` say what.
    """
    response.headers["Cache-Control"] = "no-store"
    version = held.engine.current(DEFAULT)
    ills = held.engine.problems()
    status = "degraded" if ills else "ready"
    refused = held.engine.reasons()
    return {"status": status, "version": version, "refused": refused, "ills": ills}
