"""The pages of the studio: the server writes what exists, scripts update what changes."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from starlette.responses import PlainTextResponse

from app.auth import sessions
from app.avatars import traits
from app.datasets import routes as dataset_routes
from app.datasets.schemas import with_starter
from app.errors import Unauthorised
from app.registry import schemas as registry_schemas
from app.state import AppState, get_state
from app.studio import sentences, translations
from app.studio.forms import groups
from app.studio.pages import render
from app.training import presets
from app.training.curves import MAX_RUNS
from app.training.schemas import run as public_fields
from models import keys, runs, webhooks
from models.bundle.format import Card
from models.datasets import catalogue
from models.errors import UnknownDataset, UnknownModel, UnknownRun, UnknownWebhook
from models.keys import Key
from models.name_and_note import LONGEST_NAME
from models.recipes.automatic import ENLARGER_SCALES
from models.registry import DEFAULT

router = APIRouter(prefix="/studio", include_in_schema=False)
Page = Callable[..., Response]
# The tabs by name, each with the address of its first page below /studio.
TABS = {"runs": "", "datasets": "/datasets", "models": "/models", "access": "/access"}
# The tab that lists what a page did not find.
LISTING_TABS = {UnknownRun: "runs", UnknownModel: "models", UnknownDataset: "datasets"}
SEEDS = ("ada", "grace", "alan", "edsger", "barbara", "donald", "margaret", "tim")
LISTED_RUNS, MOST_RUNS = 60, 600  # at first, and at most
LISTED_DELIVERIES = 10  # of a webhook, the newest
FIRST_PRESET = "modern-64"  # selected where the address names none
FLAT_ART_PRESET = "modern-64-flat"


def _requires_session(page: Page) -> Page:
    """Show the login without a session, and a refusal where its key lacks the scope `read`."""

    @wraps(page)
    def with_session(request: Request, **path: Any) -> Response:
        try:
            session = sessions.read(get_state(request).database, request)
            key = session.key if session else None
        except Unauthorised:
            key = None
        if key is None:
            return render(request, "studio_login.html", "studio")
        request.state.key = key
        if "read" not in key.scopes:
            return _render(request, "studio_denied.html", status=403, scope="read")
        try:
            return page(request, **path)
        except (UnknownRun, UnknownModel, UnknownDataset) as error:
            tab = LISTING_TABS[type(error)]
            return _render(request, "studio_gone.html", status=404, tab=tab, detail=str(error))

    return with_session


@router.get("")
@_requires_session
def home(request: Request) -> Response:
    """List the runs, newest first; `?q=` a text, `?state=`, `?limit=`."""
    database, query = get_state(request).database, request.query_params
    state = query.get("state") if query.get("state") in runs.STATES else None
    text, limit = query.get("q", "").strip()[:LONGEST_NAME], _limit(query.get("limit", ""))
    rows = runs.list_runs(database, limit, state, text)
    ids = [row["id"] for row in rows]
    return _render(
        request,
        "studio.html",
        tab="runs",
        runs=[public_fields(row).model_dump() for row in rows],
        sheets=runs.newest_events(database, ids, "sheet.drawn"),
        measures=runs.newest_events(database, ids, "run.measured"),
        states=runs.STATES,
        filter={"q": text, "state": state},
        more=limit + LISTED_RUNS if len(rows) == limit < MOST_RUNS else None,
    )


def _limit(text: str) -> int:
    """The number of runs that an address asks for, within what one page can show."""
    is_number = text.isdecimal() and len(text) < 10  # int() refuses thousands of digits
    return min(MOST_RUNS, max(1, int(text))) if is_number else LISTED_RUNS


@router.get("/new")
@_requires_session
def new(request: Request) -> Response:
    """Show the form of a new run; `?from=` fills in a run's recipe, `?preset=`, `?dataset=`
    with `?label=`. Without a preset the dataset's pictures choose it."""
    if "train" not in request.state.key.scopes:
        return _render(request, "studio_denied.html", status=403, scope="train")
    state = get_state(request)
    preset_list = presets.list_presets(state)
    names = [row.name for row in preset_list.presets]
    base = request.query_params.get("from")
    recipe = runs.get(state.database, base)["recipe"] if base else {}
    dataset = request.query_params.get("dataset")
    dataset_rows = catalogue.list_datasets(state.database)
    flat_art = catalogue.flat_art(dataset_rows)
    fitting_presets = {
        name: FLAT_ART_PRESET if is_flat else FIRST_PRESET for name, is_flat in flat_art.items()
    }
    preset = recipe.get("preset") or request.query_params.get("preset")
    is_fitted = preset not in names
    # An empty form has the first set selected, the starter set.
    selected_set = dataset or recipe.get("dataset") or catalogue.STARTER
    if dataset is not None and dataset not in flat_art:
        raise UnknownDataset(dataset[:80])
    if is_fitted:
        preset = fitting_presets.get(selected_set, FIRST_PRESET)
    return _render(
        request,
        "studio_new.html",
        tab="runs",
        presets=preset_list.presets,
        groups=groups(preset_list.recipe_schema),
        datasets=with_starter(dataset_rows),
        flat_art=flat_art,
        fitting_presets=fitting_presets,
        enlarger_scale=max(ENLARGER_SCALES),
        recipes={preset.name: preset.recipe for preset in preset_list.presets},
        chosen=preset,
        is_fitted=is_fitted,
        selected_set=selected_set,
        sources=_sources(state),
        start={
            "recipe": recipe,
            "dataset": dataset,
            "labels": request.query_params.getlist("label"),
        },
        base=base,
    )


def _sources(state: AppState) -> list[tuple[str, str]]:
    """What a run can start from, as (value, description): models, and the newest runs."""
    models = [
        (row["version"][:12], row["name"] or row["card"]["recipe"].get("preset", ""))
        for row in state.registry.list_models(with_cards=True)
    ]
    rows = [row for row in runs.list_runs(state.database, LISTED_RUNS) if row["snapshot"]]
    return models + [(row["id"], row["name"] or row["recipe"]["preset"]) for row in rows]


@router.get("/runs/{run}")
@_requires_session
def watch(request: Request, run: str) -> Response:
    """Show one run, live."""
    database = get_state(request).database
    # Before the row: of the events above this number, some may be in the row already, none is lost.
    last_event = runs.last_event(database, run)
    row = public_fields(runs.get(database, run)).model_dump()
    return _render(
        request,
        "studio_run.html",
        tab="runs",
        run=row,
        is_live=row["state"] not in runs.FINAL,
        last_event=last_event,
        sheet=runs.newest_events(database, [run], "sheet.drawn").get(run, {}).get("sheet"),
    )


@router.get("/sentence")
@_requires_session
def sentence(request: Request) -> Response:
    """Translate a sentence of an event (`?text=`) for the run's page; 204: unknown."""
    text = request.query_params.get("text", "")
    translation = sentences.translate(text, translations.language_of(request))
    headers = {"Cache-Control": "no-store"}
    return PlainTextResponse(translation, 200 if translation else 204, headers)


@router.get("/compare")
@_requires_session
def compare(request: Request) -> Response:
    """Show up to four runs beside each other: `?run=A&run=B`."""
    database = get_state(request).database
    names = list(dict.fromkeys(request.query_params.getlist("run")))[:MAX_RUNS]
    selection = [public_fields(runs.get(database, name)).model_dump() for name in names]
    for run in selection:
        measurements = runs.events_of_type(database, run["id"], "run.measured")
        run["numbers"] = {**(measurements[-1] if measurements else {}), **(run["progress"] or {})}
    return _render(
        request,
        "studio_compare.html",
        tab="runs",
        runs=selection,
        sheets=runs.newest_events(database, names, "sheet.drawn"),
        differences=differences([run["recipe"] for run in selection]),
    )


def differences(recipes: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Name the fields in which recipes differ, each with its value in every recipe."""
    names = dict.fromkeys(name for recipe in recipes for name in recipe)
    rows = {name: [recipe.get(name) for recipe in recipes] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


@router.get("/datasets")
@_requires_session
def datasets(request: Request) -> Response:
    """List the datasets, and the form to upload one."""
    rows = catalogue.list_datasets(get_state(request).database)
    return _render(
        request,
        "studio_datasets.html",
        tab="datasets",
        datasets=with_starter(rows),
        left_out={row["name"]: row["report"]["left_out"] for row in rows if row["report"]},
    )


@router.get("/datasets/{name}")
@_requires_session
def dataset(request: Request, name: str) -> Response:
    """Show one dataset: its labels, to train on by ticking, and what is left out of it."""
    details = dataset_routes.show(get_state(request), name)
    return _render(request, "studio_dataset.html", tab="datasets", set=details.model_dump())


@router.get("/models")
@_requires_session
def models(request: Request) -> Response:
    """List the published models: the live one, then the newest first."""
    registry = get_state(request).registry
    aliases = registry.aliases()
    live = aliases.get(DEFAULT)
    rows = registry.list_models(with_cards=True)
    return _render(
        request,
        "studio_models.html",
        tab="models",
        models=sorted(rows, key=lambda row: row["version"] != live),
        aliases=aliases,
        default=live,
        previous=_name(rows, registry.previous_default()),
        seeds=SEEDS,
    )


@router.get("/models/{name}")
@_requires_session
def model(request: Request, name: str) -> Response:
    """Show one model beside the live one, and what promoting it would change."""
    registry = get_state(request).registry
    row, aliases = registry.get(name), registry.aliases()
    card = Card.model_validate(row["card"])
    live = aliases.get(DEFAULT)
    live_card = Card.model_validate(registry.get(live)["card"]) if live else card
    rows = registry.list_models()
    return _render(
        request,
        "studio_model.html",
        tab="models",
        model=row,
        card=row["card"],
        # Where both were measured, at the size that people see.
        measures={**card.evaluation.measures, **card.evaluation.served} if card.evaluation else {},
        aliases=registry_schemas.aliases_of(row["version"], aliases),
        default=live,
        live_name=_name(rows, live),
        previous=_name(rows, registry.previous_default()),
        lost=live_card.offers_missing_in(card),
        traits=sorted(traits.trait_parameters(card)),
        seeds=SEEDS,
        base=str(request.base_url),
    )


def _name(rows: Sequence[Mapping[str, Any]], version: str | None) -> str | None:
    """A model's name, else the beginning of its version; None where there is no version."""
    names = (row["name"] for row in rows if row["version"] == version)
    return next(names, None) or (version and version[:12])


@router.get("/access")
@_requires_session
def access(request: Request) -> Response:
    """List the keys and the webhooks with their newest deliveries, and the forms to make them."""
    key: Key = request.state.key
    if "keys" not in key.scopes:
        return _render(request, "studio_denied.html", status=403, scope="keys")
    database = get_state(request).database
    hooks = webhooks.list_webhooks(database)
    return _render(
        request,
        "studio_access.html",
        tab="access",
        keys=keys.list_keys(database),
        own=key.id,
        hooks=hooks,
        types=webhooks.TYPES,
        deliveries={row["id"]: _deliveries(database, row["id"]) for row in hooks},
    )


def _deliveries(database: sa.Engine, webhook: str) -> list[runs.Row]:
    """A webhook's newest deliveries; none where it was deleted meanwhile."""
    try:
        return webhooks.list_deliveries(database, webhook)[:LISTED_DELIVERIES]
    except UnknownWebhook:
        return []


def _render(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    key: Key = request.state.key
    answer = render(
        request,
        template,
        "studio",
        status,
        tabs=TABS,
        who=key.name,
        scopes=key.scopes,
        **context,
    )
    # The back button must not show what a session showed after it has ended.
    answer.headers["Cache-Control"] = "no-store"
    return answer
