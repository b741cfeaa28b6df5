"""The commands that train and measure; what needs torch is imported when it is used."""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.errors import KaoError
from models.settings import Settings

if TYPE_CHECKING:
    from worker.evaluation.evaluate import Evaluation
    from worker.evaluation.traits import Trait

TRAIT_FACES = 500
datasets = typer.Typer(no_args_is_help=True, help="Sets of images to train on.")
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
    from models import home, lineage, runs
    from models.registry import Registry
    from worker.supervisor import Supervisor

    settings = Settings()
    if int(os.environ.get("RANK", "0")) > 0:
        # torchrun started this on several hosts: the first one's command leads.
        from worker.training import together

        together.follow(settings)
        return
    engine = home.prepare(settings)
    given = {
        "preset": preset,
        "dataset": dataset and _dataset(dataset),
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
            changed = lineage.change(run["recipe"], asked) if asked else None
            run = runs.resume(engine, resume, changed)
    else:
        recipe = lineage.resolve(engine, Registry(engine, settings.blobs), asked)
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


def _dataset(name: str) -> str:
    from models.datasets import catalogue

    if name in catalogue.BUILT_IN or not Path(name).exists():
        return name
    from worker.datasets.sources import LOCAL

    return f"{LOCAL}{Path(name).absolute()}"


def _field(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def evaluate(
    model: Annotated[str, typer.Argument(help="An alias, a version or its first digits.")],
    dataset: Annotated[str, typer.Option(help="starter, an uploaded set, a folder or a zip.")],
    samples: Annotated[int, typer.Option(min=40, help="Faces to draw; 5,000 for a headline.")] = (
        5_000
    ),
    psi: Annotated[float, typer.Option(min=0, max=1.5)] = 1.0,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A PNG of the likeliest copies beside their models.")
    ] = None,
    traits: Annotated[
        bool, typer.Option(help="Ask 500 faces for each trait, and say how many show it.")
    ] = False,
    keep: Annotated[
        bool, typer.Option(help="Add the model once more, with this on its card.")
    ] = False,
    failures: Annotated[
        str, typer.Option(help="For the card: what you saw go wrong, in your words.")
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a model's faces against real ones: FD, KID, precision, recall, coverage, novelty."""
    from PIL import Image

    from models import bundle, home
    from models.registry import Registry
    from worker import publishing
    from worker.datasets import sources
    from worker.evaluation.evaluate import evaluate as measure
    from worker.evaluation.traits import evaluate as trait_marks

    settings = Settings()
    engine = home.prepare(settings)
    registry = Registry(engine, settings.blobs)
    version = registry.resolve(model)
    threads = settings.parallel
    drawer = registry.load(version, threads)
    with Progress(console=err, disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("dataset", total=None)

        def told(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        packed = sources.pack_named(
            settings,
            engine,
            _dataset(dataset),
            drawer.card.network.resolution,
            limit,
            lambda *at: told("dataset", *at),
        )
        found, pairs = measure(drawer, packed, samples, settings.cache, threads, psi, told)
        asked = trait_marks(drawer, packed, TRAIT_FACES, psi) if traits else []
    if picture is not None:
        Image.fromarray(pairs).save(picture)
    if keep:
        kept = publishing.with_evaluation(
            registry,
            version,
            bundle.Evaluation(
                dataset=packed.name,
                psi=psi,
                measures=asdict(found),
                traits=[asdict(trait) for trait in asked],
                failures=failures,
            ),
            pairs,
        )
        err.print(f"Kept as {kept}; `kao models promote {kept[:12]}` serves it.", highlight=False)
    if json_:
        told_traits = {"traits": [asdict(trait) for trait in asked]} if traits else {}
        out.print_json(data={"version": version, "psi": psi, **asdict(found), **told_traits})
        return
    out.print(_told(version, packed.name, found))
    if traits:
        out.print(_told_traits(asked))


def _told(version: str, dataset: str, found: "Evaluation") -> Table:
    table = Table(
        "measure",
        "model",
        "95 %",
        "perfect",
        "blurred ×2",
        title=f"{version[:12]} against {dataset}, {found.samples:,} faces",
    )

    def between(interval: tuple[float, float], digits: int) -> str:
        return " to ".join(f"{end:.{digits}f}" for end in interval)

    table.add_row(
        "FD-Lite0",
        f"{found.fd:.1f}",
        between(found.fd_interval, 1),
        f"{found.fd_floor:.1f}",
        f"{found.fd_blur2:.1f}",
    )
    table.add_row("KID-Lite0", f"{found.kid:.4f}", "", f"{found.kid_floor:.4f}", "")
    table.add_row("precision", f"{found.precision:.3f}", "", "", "")
    table.add_row("recall", f"{found.recall:.3f}", "", "", "")
    table.add_row("density", f"{found.density:.3f}", "", "", "")
    table.add_row(
        "coverage",
        f"{found.coverage:.3f}",
        between(found.coverage_interval, 3),
        f"{found.coverage_floor:.3f}",
        "",
    )
    table.add_row("novelty", f"{found.novelty:.2f}", "", "1.00", "")
    table.add_row("copies", f"{100 * found.copies:.1f} %", "", "1.0 %", "")
    return table


def _told_traits(found: "list[Trait]") -> Table:
    table = Table("trait", "values", "asked and shown", "others kept", "least kept", "judge")
    for trait in found:
        marks = (trait.shown, trait.kept, trait.worst_kept, trait.judge)
        table.add_row(
            trait.name, str(len(trait.values)), *(f"{100 * mark:.1f} %" for mark in marks)
        )
    return table


@datasets.command("list")
def dataset_list() -> None:
    """The sets that a run can name."""
    from models import home
    from models.datasets import catalogue

    table = Table("name", "images", "size", "licence")
    table.add_row("starter", "any number", "", "CC0-1.0")
    for row in catalogue.listed(home.prepare(Settings())):
        table.add_row(
            row["name"], f"{row['images']:,}", f"{row['bytes'] / 1e6:.1f} MB", row["licence"]
        )
    out.print(table)


@datasets.command("pack")
def dataset_pack(
    source: str, size: int = 64, limit: Annotated[int | None, typer.Option()] = None
) -> None:
    """Decode a set now, so that the next run need not; tells what was skipped."""
    from worker.datasets.packing import pack

    settings = Settings()
    with Progress(console=err, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("packing", total=None)
        packed = pack(
            source,
            size,
            settings.cache,
            limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for skipped in packed.skipped:
        err.print(f"skipped {skipped.name}: {skipped.reason}", highlight=False)
    out.print(f"{packed.count:,} images of {packed.size}×{packed.size}, {packed.fingerprint[:16]}")
