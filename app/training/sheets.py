"""The sample sheets that a run draws from fixed seeds while it trains."""

import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from app.auth.scopes import needs
from app.errors import UnknownSheet
from app.http.query_string import Only
from app.state import Services, services
from models import runs
from models.storage import layout

router = APIRouter(
    prefix="/train",
    tags=["training"],
    dependencies=[needs("read"), Depends(Only())],
)
Held = Annotated[Services, Depends(services)]
LATEST = "latest.png"
_NAME = re.compile(r"[0-9]{9,10}\.png")


@router.get("/{run}/sheets", summary="A run's sample sheets")
def listed(held: Held, run: str) -> list[str]:
    """Their addresses, the oldest first; the number is that of the images seen."""
    return [f"/train/{run}/sheets/{path.name}" for path in _sheets(held, run)]


@router.get(
    "/{run}/sheets/{name}",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
    summary="One sample sheet, or latest.png",
)
def sheet(held: Held, run: str, name: str) -> FileResponse:
    """A PNG of fixed seeds' faces."""
    sheets = _sheets(held, run)
    if name == LATEST and sheets:
        return FileResponse(_here(held, sheets[-1]), headers={"Cache-Control": "no-store"})
    for path in sheets:
        if path.name == name:
            return FileResponse(
                _here(held, path), headers={"Cache-Control": "private, max-age=31536000"}
            )
    raise UnknownSheet(f"Run {run} has no sheet {name[:40]!r}; GET /train/{run}/sheets lists them.")


def _sheets(held: Services, run: str) -> list[Path]:
    # A known run's id is hex, so the path stays below the folder. Raises UnknownRun.
    known = runs.get(held.database, run)["id"]
    folder = held.settings.home / layout.sheets(known)
    here = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    names = {*here, *held.registry.blobs.names(layout.sheets(known))}
    return [folder / name for name in sorted(names) if _NAME.fullmatch(name)]


def _here(held: Services, path: Path) -> Path:
    """The file, after it came from the host that drew it."""
    name = f"{layout.sheets(path.parent.parent.name)}/{path.name}"
    return held.registry.blobs.fetch(path, name=name)
