"""The studio's pages: what is there is written by the server, what changes by its scripts."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import APIRouter, Request, Response

from app.auth import sessions
from app.avatars import traits
from app.datasets import routes as dataset_routes
from app.errors import Unauthorised
from app.registry import routes as registry_routes
from app.state import Services
from app.studio.forms import groups
from app.studio.pages import render
from app.training import presets
from app.training.curves import MAX_RUNS
from app.training.schemas import run as shown
from models import runs
from models.bundle.format import Card
from models.errors import UnknownModel, UnknownRun
from models.keys import Key
from models.registry import DEFAULT

router = APIRouter(prefix="/studio", include_in_schema=False)
Page = Callable[..., Response]
SEEDS = ("ada", "grace", "alan", "edsger", "barbara", "donald", "margaret", "tim")


def _with_key(page: Page) -> Page:
    """Whoever has no session sees the login instead; who has one may look at what `read` opens."""

    @wraps(page)
    def shown_to(request: Request, **path: Any) -> Response:
        held: Services = request.app.state.services
        try:
            session = sessions.read(held.database, request)
            key = session.key if session else None
        except Unauthorised:
            key = None
        if key is None:
            return render(request, "studio_login.html", "studio")
        request.state.key = key
        if "read" not in key.scopes:
            return _render(request, "studio_denied.html", status=403)
        try:
            return page(request, **path)
        except (UnknownRun, UnknownModel) as error:
            return _render(request, "studio_gone.html", status=404, detail=str(error))

    return shown_to


@router.get("")
@router.head("")
@_with_key
def home(request: Request) -> Response:
    """The runs, the newest first."""
    held: Services = request.app.state.services
    found = [shown(row).model_dump() for row in runs.list_runs(held.database, 60)]
    return _render(request, "studio.html", tab="runs", runs=found)


@router.get("/new")
@_with_key
def new(request: Request) -> Response:
    """A run to start."""
    held: Services = request.app.state.services
    found = presets.list_presets(held)
    return _render(
        request,
        "studio_new.html",
        tab="runs",
        presets=found.presets,
        groups=groups(found.recipe_schema),
        datasets=dataset_routes.list_datasets(held).datasets,
        recipes={preset.name: preset.recipe for preset in found.presets},
    )


@router.get("/runs/{run}")
@_with_key
def watch(request: Request, run: str) -> Response:
    """One run, live."""
    held: Services = request.app.state.services
    row = runs.get(held.database, run)
    return _render(request, "studio_run.html", tab="runs", run=shown(row).model_dump())


@router.get("/compare")
@_with_key
def compare(request: Request) -> Response:
    """Up to four runs beside each other: `?run=A&run=B`."""
    held: Services = request.app.state.services
    names = list(dict.fromkeys(request.query_params.getlist("run")))[:MAX_RUNS]
    found = [shown(runs.get(held.database, name)).model_dump() for name in names]
    for run in found:
        measured = runs.events_of_type(held.database, run["id"], "run.measured")
        run["numbers"] = {**(measured[-1] if measured else {}), **(run["progress"] or {})}
    return _render(request, "studio_compare.html", tab="runs", runs=found)


@router.get("/datasets")
@_with_key
def datasets(request: Request) -> Response:
    """The datasets, and a place to drop another."""
    held: Services = request.app.state.services
    found = dataset_routes.list_datasets(held).datasets
    return _render(request, "studio_datasets.html", tab="datasets", datasets=found)


@router.get("/models")
@_with_key
def models(request: Request) -> Response:
    """The published models, the newest first."""
    held: Services = request.app.state.services
    rows, aliases = held.registry.list_models(), held.registry.aliases()
    return _render(
        request,
        "studio_models.html",
        tab="models",
        models=rows,
        aliases=aliases,
        default=aliases.get(DEFAULT),
        seeds=SEEDS,
    )


@router.get("/models/{name}")
@_with_key
def model(request: Request, name: str) -> Response:
    """One model beside the one that serves."""
    held: Services = request.app.state.services
    row, aliases = held.registry.get(name), held.registry.aliases()
    card = Card.model_validate(row["card"])
    return _render(
        request,
        "studio_model.html",
        tab="models",
        model=row,
        card=row["card"],
        measures=card.evaluation.measures if card.evaluation else {},
        aliases=registry_routes.aliases_of(row["version"], aliases),
        default=aliases.get(DEFAULT),
        traits=sorted(traits.trait_parameters(card)),
        seeds=SEEDS,
    )


def _render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    key: Key = request.state.key
    answer = render(request, template, "studio", status, who=key.name, scopes=key.scopes, **context)
    # What a session shows must not come back by the back button after it has ended.
    answer.headers["Cache-Control"] = "no-store"
    return answer
