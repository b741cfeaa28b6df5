"""Published models over HTTP: list, read, promote, roll back."""

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from app.auth.scopes import needs
from app.avatars import traits
from app.avatars.state import PictureStateDep
from app.http.query_string import Only
from app.registry.schemas import Alias, Model, ModelDetails, Models, model
from app.state import State
from models.bundle.format import Card
from models.name_and_note import Description
from models.registry import DEFAULT

router = APIRouter(prefix="/models", tags=["models"])
NO_CACHE = "no-cache"  # names and aliases change
NO_PARAMETERS, FORCE = Depends(Only()), Depends(Only("force"))


@router.get(
    "", dependencies=[needs("avatars"), NO_PARAMETERS], summary="List the models, newest first"
)
def list_models(state: State, response: Response) -> Models:
    """Published models, and the aliases that name them."""
    response.headers["Cache-Control"] = NO_CACHE
    aliases = state.registry.aliases()
    rows = state.registry.list_models()
    return Models(models=[model(row, aliases) for row in rows], aliases=aliases)


@router.post(
    "/rollback", dependencies=[needs("models"), NO_PARAMETERS], summary="Undo the last promotion"
)
async def roll_back(state: PictureStateDep) -> Alias:
    """`default` names its previous version again; repeating this goes back further."""
    version = await run_in_threadpool(state.registry.roll_back)
    await state.engine.follow_verified(version)
    return Alias(alias=DEFAULT, version=version)


@router.get("/{name}", dependencies=[needs("avatars"), NO_PARAMETERS], summary="Read a model")
def show(state: State, name: str, response: Response) -> ModelDetails:
    """The card of an alias, a version, or at least 12 of its hex digits."""
    response.headers["Cache-Control"] = NO_CACHE
    row = state.registry.get(name)
    parameters = traits.trait_parameters(Card.model_validate(row["card"]))
    schemas = {
        name: {**parameter.schema, "description": parameter.description}
        for name, parameter in parameters.items()
    }
    summary = model(row, state.registry.aliases())
    return ModelDetails(**summary.model_dump(), card=row["card"], traits=schemas)


@router.patch(
    "/{name}", dependencies=[needs("models"), NO_PARAMETERS], summary="Name a model, or note"
)
def describe(state: State, name: str, body: Description) -> Model:
    """Change its name, its note, or both. Its version and its faces stay the same."""
    return model(state.registry.describe(name, body), state.registry.aliases())


@router.post(
    "/{version}/promote", dependencies=[needs("models"), FORCE], summary="Serve a model by default"
)
async def promote(state: PictureStateDep, version: str, force: bool = False) -> Alias:
    """Verify it and serve it; `/avatar` of this server uses it when the answer arrives.

    409 for a model without the traits of the current one, unless `force` is true.
    """
    new_version = await run_in_threadpool(state.registry.resolve, version)
    card = await state.engine.verify_by_loading(new_version)
    await run_in_threadpool(state.registry.promote, new_version, force, card)
    await state.engine.follow_verified(new_version)
    return Alias(alias=DEFAULT, version=new_version)
