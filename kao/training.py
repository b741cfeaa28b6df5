"""`kao train`; what needs torch is imported when it is used."""

import json
import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models.errors import KaoError
from models.settings import Settings

out = Console()
err = Console(stderr=True)


def train(
    dataset: Annotated[
        str | None, typer.Option(help="starter, an uploaded set, a folder or a zip.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="modern-64 (the default), modern-64-flat, classic, smoke, …")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes.")] = None,
    images: Annotated[int | None, typer.Option(help="Stop after so many images.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Stop after so many passes.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights and draws.")] = None,
    promote: Annotated[bool, typer.Option(help="Serve the result by default.")] = False,
    start_from: Annotated[
        str | None, typer.Option(help="A run to extend, or a model to fine-tune.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with this failed or cancelled run.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Another recipe field, as name=JSON.")
    ] = None,
) -> None:
    """Train in this terminal; Ctrl-C ends the run well, with a model of what is there."""
    from models import bootstrap, runs
    from models.recipes import inheritance
    from models.registry import Registry
    from worker.supervisor import Supervisor

    settings = Settings()
    if int(os.environ.get("RANK", "0")) > 0:
        # torchrun started this on several hosts: the first one's command leads.
        from worker.training.distributed import lockstep

        lockstep.follow(settings)
        return
    engine = bootstrap.prepare(settings)
    given = {
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
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    asked |= dict(_field(text) for text in set_ or [])
    if resume is not None:
        run = runs.get(engine, resume)
        # One that waits goes on as it is; a change it refuses, for a worker may have read it.
        if run["state"] != "queued" or asked:
            changed = inheritance.change(run["recipe"], asked) if asked else None
            run = runs.resume(engine, resume, changed)
    else:
        recipe = inheritance.resolve(engine, Registry(engine, settings.blobs), asked)
        run, _ = runs.create(engine, recipe, asked)
    claimed = runs.claim(engine, run["id"])
    if claimed is None:
        raise KaoError(f"Run {run['id']} was taken by a worker; watch it there.")
    supervisor = Supervisor(settings, engine, run["id"], claimed[1], terminal=True)
    signal.signal(signal.SIGINT, lambda *_: supervisor.finish())
    signal.signal(signal.SIGTERM, lambda *_: supervisor.hand_back())
    state = supervisor.watch()
    row = runs.get(engine, run["id"])
    if state != "succeeded":
        raise KaoError(f"Run {run['id']} is {state}. {row['error'] or ''}".strip())
    out.print(f"Run {run['id']} published {row['version']}")
    out.print(f"Try: kao sample --model {row['version'][:12]} --seed 42 --out face.png")


def dataset_name(name: str) -> str:
    """A recipe's name for a set: a folder or a zip of this machine by its path."""
    if name == "starter" or not Path(name).exists():
        return name
    from worker.datasets.source import LOCAL

    return f"{LOCAL}{Path(name).absolute()}"


def _field(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
