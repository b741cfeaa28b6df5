"""The published models over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from app.parameters import Only
from app.security import require_key
from app.services import Services, services
from models.registry import DEFAULT

router = APIRouter(prefix="/models", tags=["models"], dependencies=[Depends(Only())])
Held = Annotated[Services, Depends(services)]


class Model(BaseModel):
    """One published bundle."""

    version: str
    aliases: list[str] = Field(examples=[["default", "latest"]])
    published: str
    bytes: int
    run: str | None


class Models(BaseModel):
    """All of them, the newest first, and what each alias names."""

    models: list[Model]
    aliases: dict[str, str]


class Described(Model):
    """One bundle with its card."""

    card: dict[str, Any]


class Served(BaseModel):
    """What an alias names now."""

    alias: str = Field(examples=["default"])
    version: str


@router.get("", summary="The published models, newest first")
def listed(held: Held) -> Models:
    """With the aliases that name them."""
    names = held.registry.aliases()
    rows = held.registry.listed()
    return Models(models=[Model(**_shown(row, names)) for row in rows], aliases=names)


@router.post("/rollback", dependencies=[Depends(require_key)], summary="Undo the last promotion")
async def roll_back(held: Held) -> Served:
    """`default` names again what it named before; twice goes back two steps."""
    version = await run_in_threadpool(held.registry.roll_back)
    await held.engine.refresh()
    return Served(alias=DEFAULT, version=version)


@router.get("/{name}", summary="One model's card")
def show(held: Held, name: str) -> Described:
    """How it was made, by an alias, a version, or 12 or more of its hex digits."""
    row = held.registry.get(name)
    return Described(**_shown(row, held.registry.aliases()), card=row["card"])


@router.post(
    "/{version}/promote", dependencies=[Depends(require_key)], summary="Serve a model by default"
)
async def promote(held: Held, version: str) -> Served:
    """Verified first; when the answer arrives, this server's `/avatar` has swapped."""
    promoted = await run_in_threadpool(held.registry.promote, version)
    await held.engine.refresh()
    return Served(alias=DEFAULT, version=promoted)


def _shown(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    named = sorted(alias for alias, version in names.items() if version == row["version"])
    fields = {key: row[key] for key in ("version", "published", "bytes", "run")}
    return {**fields, "aliases": named}
