"""The published models over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.avatars import traits
from app.http.query_string import Only
from app.state import Services, services
from models.bundle.format import Card
from models.registry import DEFAULT

router = APIRouter(prefix="/models", tags=["models"])
NOTHING, FORCE = Depends(Only()), Depends(Only("force"))
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
    traits: dict[str, dict[str, Any]] = Field(
        description="Further parameters of its pictures: by name the JSON Schema of the value.",
        examples=[{"hair_colour": {"type": "string", "enum": ["pink", "black"]}}],
    )


class Served(BaseModel):
    """What an alias names now."""

    alias: str = Field(examples=["default"])
    version: str


@router.get(
    "", dependencies=[needs("avatars"), NOTHING], summary="The published models, newest first"
)
def listed(held: Held) -> Models:
    """With the aliases that name them."""
    names = held.registry.aliases()
    rows = held.registry.list_models()
    return Models(models=[Model(**_shown(row, names)) for row in rows], aliases=names)


@router.post(
    "/rollback", dependencies=[needs("models"), NOTHING], summary="Undo the last promotion"
)
async def roll_back(held: Held) -> Served:
    """`default` names again what it named before; twice goes back two steps."""
    version = await run_in_threadpool(held.registry.roll_back)
    await held.engine.refresh()
    return Served(alias=DEFAULT, version=version)


@router.get("/{name}", dependencies=[needs("avatars"), NOTHING], summary="One model's card")
def show(held: Held, name: str) -> Described:
    """How it was made, by an alias, a version, or 12 or more of its hex digits."""
    row = held.registry.get(name)
    known = traits.trait_parameters(Card.model_validate(row["card"]))
    schemas = {
        name: {**parameter.schema, "description": parameter.description}
        for name, parameter in known.items()
    }
    shown = _shown(row, held.registry.aliases())
    return Described(**shown, card=row["card"], traits=schemas)


@router.post(
    "/{version}/promote", dependencies=[needs("models"), FORCE], summary="Serve a model by default"
)
async def promote(held: Held, version: str, force: bool = False) -> Served:
    """Verified first; when the answer arrives, this server's `/avatar` has swapped.

    A model without the traits of the one that serves is a 409, unless `force` is true.
    """
    promoted = await run_in_threadpool(held.registry.promote, version, force)
    await held.engine.refresh()
    return Served(alias=DEFAULT, version=promoted)


def _shown(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    fields = {key: row[key] for key in ("version", "published", "bytes", "run")}
    return {**fields, "aliases": named(row["version"], names)}


def named(version: str, aliases: dict[str, str]) -> list[str]:
    """The aliases of a version."""
    return sorted(alias for alias, target in aliases.items() if target == version)
