"""`kao train`: train a run in this terminal. Torch is imported when it is used."""

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kao.arguments import DATASETS, Limit, dataset_name
from kao.console import err, out
from models.errors import KaoError, TrainingNotInstalled
from models.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from models.recipes.recipe import Recipe

Row = dict[str, Any]

Dataset = Annotated[str | None, typer.Option(help=DATASETS)]
Preset = Annotated[
    str | None,
    typer.Option(
        help="modern-64, modern-64-flat, classic, smoke, …; without one, what fits the dataset "
        "and this machine, and modern-64 for the starter."
    ),
]
Minutes = Annotated[float | None, typer.Option(help="Stop after so many minutes.")]
Images = Annotated[int | None, typer.Option(help="Stop after so many images.")]
Epochs = Annotated[int | None, typer.Option(help="Stop after so many passes.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights and random numbers.")]
Promote = Annotated[bool, typer.Option(help="Serve the result by default.")]
StartFrom = Annotated[str | None, typer.Option(help="A run to extend, or a model to fine-tune.")]
Resume = Annotated[
    str | None,
    typer.Option(help="Continue this run: failed, cancelled, or left behind by a closed terminal."),
]
Fields = Annotated[
    list[str] | None, typer.Option("--set", help="Another recipe field, as name=JSON.")
]


def train(
    dataset: Dataset = None,
    preset: Preset = None,
    minutes: Minutes = None,
    images: Images = None,
    epochs: Epochs = None,
    limit: Limit = None,
    seed: Seed = None,
    promote: Promote = False,
    start_from: StartFrom = None,
    resume: Resume = None,
    set_: Fields = None,
) -> None:
    """Train in this terminal; Ctrl-C ends the run and publishes its model.

    With a dataset and no preset, the recipe is chosen to fit the pictures and this machine.
    """
    options = {
        "preset": preset,
        "dataset": dataset and dataset_name(dataset),
        "minutes": minutes,
        "images": images,
        "epochs": epochs,
        "dataset_limit": limit,
        "seed": seed,
        "start_from": start_from,
        "promote": "always" if promote else None,
    }
    fields: Row = {name: value for name, value in options.items() if value is not None}
    _lead_or_follow(fields | dict(_field(text) for text in set_ or []), resume)


def _lead_or_follow(fields: Row, resume: str | None) -> None:
    """Train a new run of these recipe fields, or `resume` with them changed. Raises KaoError."""
    from models import bootstrap, logs

    settings = Settings()
    if not settings.can_train_here:  # before a run is made that nothing here can train
        raise TrainingNotInstalled
    logs.configure()
    if int(os.environ.get("RANK", "0")) > 0:
        # torchrun started this on several hosts: the first one's command leads.
        from worker.training import lockstep

        lockstep.follow(settings)
        return
    engine = bootstrap.prepare(settings)
    if resume is None:
        fields = _choose(settings, engine, fields) | fields
        run = _create(settings, engine, fields)
    else:
        run = _resume(settings, engine, resume, fields)
    _report(_train(settings, engine, run))


def _choose(settings: Settings, engine: "sa.Engine", fields: Row) -> Row:
    """Recipe fields that fit the dataset and this machine, with reasons in the terminal.

    Nothing for the starter, a preset or a start from another run. Raises KaoError.
    """
    from models.datasets import catalogue
    from models.recipes import automatic
    from worker.datasets import lookup, statistics
    from worker.hardware import machine
    from worker.training import frozen_features

    dataset = fields.get("dataset")
    if dataset is None or dataset in catalogue.BUILT_IN or {"preset", "start_from"} & fields.keys():
        return {}
    source = lookup.find_source(settings, engine, str(dataset))
    pictures = statistics.measure(source, fields.get("dataset_limit"))
    description = machine.describe(frozen_features.is_available())
    choices = automatic.choose(pictures, description, fields)
    err.print(
        f"Chosen for {pictures.count:,} pictures in {pictures.name!r}; "
        "--preset, an option or --set FIELD=VALUE replaces a choice:"
    )
    for choice in choices:
        err.print(choice.reason)
    for column in source.label_table().left_out:
        err.print(f"No label: {column.name}, {column.reason}.")
    return automatic.fields(choices)


def _create(settings: Settings, engine: "sa.Engine", fields: Row) -> str:
    """Create a run with these recipe fields. Returns its id. Raises KaoError."""
    from models import recipe_inheritance, runs
    from models.registry import Registry

    recipe = recipe_inheritance.resolve(engine, Registry(engine, settings.blobs), fields)
    _check_labels(settings, engine, recipe)
    row, _ = runs.create(engine, recipe, fields)
    return str(row["id"])


def _check_labels(settings: Settings, engine: "sa.Engine", recipe: "Recipe") -> None:
    """Raises InvalidRecipe for labels that the dataset does not have, before anything trains."""
    from models.datasets import catalogue, labels
    from worker.datasets import lookup

    if recipe.dataset.startswith(lookup.LOCAL):
        source = lookup.find_source(settings, engine, recipe.dataset)
        if recipe.has_labels:
            table = source.label_table()
            labels.check_names(recipe.labels, table, source.name, recipe.hidden_labels)
    else:
        catalogue.check_recipe(engine, settings, recipe)


def _resume(settings: Settings, engine: "sa.Engine", run: str, fields: Row) -> str:
    """Queue a run again, with changed recipe fields. Returns its id."""
    from models import recipe_inheritance, runs

    row = runs.get(engine, run)
    if row["state"] == "running":
        _wait_for_lease(settings, engine, run)
        row = runs.get(engine, run)
    recipe = recipe_inheritance.change(row["recipe"], fields) if fields else None
    if recipe is not None or row["state"] != "queued":
        runs.resume(engine, run, recipe)
    return run


def _wait_for_lease(settings: Settings, engine: "sa.Engine", run: str) -> None:
    """Requeue a run whose process was killed. Raises KaoError where it is still training."""
    from models import runs
    from worker.abandoned_runs import INTERVAL, LeaseWatch

    err.print(f"Run {run} is marked as running; waiting for its heartbeat or the end of its lease.")
    watch, first = LeaseWatch(settings, engine), runs.get(engine, run)
    while (row := runs.get(engine, run))["state"] == "running":
        if (row["fence"], row["heartbeat"]) != (first["fence"], first["heartbeat"]):
            raise KaoError(f"Run {run} is training in another process; nothing was changed.")
        watch.requeue_abandoned()
        time.sleep(INTERVAL)


def _train(settings: Settings, engine: "sa.Engine", run: str) -> Row:
    """Train a queued run to its end in this terminal. Returns its row. Raises KaoError."""
    from kao.processes import on_hangup
    from models import runs
    from worker.supervisor import Supervisor

    state = "queued"
    while state == "queued":
        claim = runs.claim(engine, run)
        if claim is None:
            raise KaoError(f"A worker has taken run {run}; watch it there.")
        supervisor = Supervisor(settings, engine, run, claim[1], prints_to_terminal=True)
        signal.signal(signal.SIGINT, lambda *_, current=supervisor: current.finish())
        signal.signal(signal.SIGTERM, lambda *_, current=supervisor: current.hand_back())
        on_hangup(supervisor.hand_back)
        state = supervisor.watch()
        # After a fault that may go away, the next attempt follows, as a worker's would.
        is_interrupted = supervisor.is_stopping or supervisor.is_finishing
        if is_interrupted or not runs.count_faults(engine, run):
            break
    row = runs.get(engine, run)
    if state == "queued":
        raise KaoError(f"Run {run} stopped early; continue it with `kao train --resume {run}`.")
    if state != "succeeded":
        ending = "failed" if state == "failed" else "was cancelled"
        raise KaoError(f"Run {run} {ending}. {row['error'] or ''}".strip())
    return row


def _report(row: Row) -> None:
    out.print(f"Run {row['id']} published {row['version']}")
    out.print(f"Try: kao sample --model {row['version'][:12]} --seed 42 --out face.png")


def _field(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        if value.startswith(("[", "{")):  # the shell takes quotation marks away
            raise KaoError(
                f"--set {text} is not JSON. Quote all of it for the shell, as in "
                '--set \'labels=["hair", "mood"]\'.'
            ) from None
        return name, value
