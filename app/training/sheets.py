"""The sample sheets that a run writes while it trains, of fixed seeds."""

import re
from pathlib import Path

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from app.auth.scopes import needs
from app.errors import UnknownSheet
from app.http.query_string import Only
from app.state import AppState, State
from models import runs
from models.storage import layout

router = APIRouter(
    prefix="/train",
    tags=["training"],
    dependencies=[needs("read"), Depends(Only())],
)
LATEST = "latest.png"
_NAME = re.compile(r"[0-9]{9,10}\.png")


@router.get("/{run}/sheets", summary="List the sample sheets of a run")
def list_sheets(state: State, run: str) -> list[str]:
    """Their addresses, oldest first; the number in a name counts the images seen."""
    return [f"/train/{run}/sheets/{path.name}" for path in _sheets(state, run)]


@router.get(
    "/{run}/sheets/{name}",
    response_class=FileResponse,
    responses={200: {"content": {"image/png": {}}}},
    summary="A sample sheet, or latest.png",
)
def sheet(state: State, run: str, name: str) -> FileResponse:
    """A PNG of the faces of fixed seeds."""
    sheets = _sheets(state, run)
    if name == LATEST and sheets:
        return FileResponse(_fetch(state, sheets[-1]), headers={"Cache-Control": "no-store"})
    for path in sheets:
        if path.name == name:
            return FileResponse(
                _fetch(state, path), headers={"Cache-Control": "private, max-age=31536000"}
            )
    raise UnknownSheet(f"Run {run} has no sheet {name[:40]!r}; GET /train/{run}/sheets lists them.")


def _sheets(state: AppState, run: str) -> list[Path]:
    # The id of an existing run is hex, so the path stays below the folder. Raises UnknownRun.
    id = runs.get(state.database, run)["id"]
    folder = state.settings.home / layout.sheets(id)
    local = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    names = {*local, *state.registry.blobs.names(layout.sheets(id))}
    return [folder / name for name in sorted(names) if _NAME.fullmatch(name)]


def _fetch(state: AppState, path: Path) -> Path:
    """The file, downloaded where another host wrote it."""
    name = f"{layout.sheets(path.parent.parent.name)}/{path.name}"
    return state.registry.blobs.fetch(path, name=name)
