"""`kao evaluate`: measure a model's faces against real pictures."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from kao.console import err, out
from kao.training import dataset_name
from models.settings import Settings

if TYPE_CHECKING:
    from worker.datasets.packing import PackedDataset
    from worker.evaluation.comparison import Comparison, HeldOut
    from worker.evaluation.evaluate import Evaluation
    from worker.evaluation.trait_accuracy import Trait

TRAIT_FACES = 500


def evaluate(
    model: Annotated[str, typer.Argument(help="An alias, a version or its first digits.")],
    dataset: Annotated[str, typer.Option(help="starter, an uploaded set, a folder or a zip.")],
    samples: Annotated[int, typer.Option(min=40, help="Faces to draw; 5,000 for a headline.")] = (
        5_000
    ),
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            max=1024,
            help="Measure the faces as served at so many pixels. Default: 256, the size that most "
            "people see, where half of the set's pictures are that large; else the network's "
            "resolution.",
        ),
    ] = None,
    psi: Annotated[float, typer.Option(min=0, max=1.5)] = 1.0,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A PNG of the likeliest copies beside their models.")
    ] = None,
    traits: Annotated[
        bool,
        typer.Option(
            help="Request each trait of 500 faces and say how many show it, at this psi and at 0.7."
        ),
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

    from models import bootstrap
    from models.registry import Registry
    from worker.datasets import lookup
    from worker.evaluation import trait_accuracy
    from worker.evaluation.evaluate import evaluate as measure
    from worker.publishing import bundle_writer

    settings = Settings()
    engine = bootstrap.prepare(settings)
    registry = Registry(engine, settings.blobs)
    version = registry.resolve(model)
    threads = settings.parallel
    drawer = registry.load(version, threads)
    name, resolution = dataset_name(dataset), drawer.card.network.resolution
    if size is None:
        size = lookup.served_size(settings, engine, name, resolution)
    with Progress(console=err, disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("dataset", total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        def pack(side: int, sample: int | None = None) -> "PackedDataset":
            return lookup.pack_named(
                settings,
                engine,
                name,
                side,
                limit,
                lambda *at: report(f"dataset at {side} px", *at),
                sample=sample,
            )

        native = pack(resolution)
        served = None
        if size != resolution:
            served = pack(size, lookup.sample_for(samples, native.count))
        found, pairs = measure(
            drawer, native, samples, settings.cache, threads, psi, report, served
        )
        obedience = trait_accuracy.evaluate(drawer, native, TRAIT_FACES, psi) if traits else []
    if picture is not None:
        Image.fromarray(pairs).save(picture)
    if keep:
        card = _on_card(native.name, psi, found, obedience, failures)
        kept = bundle_writer.with_evaluation(registry, version, card, pairs)
        err.print(f"Kept as {kept}; `kao models promote {kept[:12]}` serves it.")
    if json_:
        out.print_json(data={"version": version, "psi": psi, **_as_json(found, obedience)})
        return
    for table in _tables(version, native.name, found, obedience):
        out.print(table)


def _as_json(found: "Evaluation", obedience: "list[Trait]") -> dict[str, Any]:
    """The measures at the served size at the top; at the network's resolution in `native`."""
    rest = asdict(found)
    return {
        **rest.pop("served"),
        **rest,
        **({"traits": [asdict(trait) for trait in obedience]} if obedience else {}),
    }


def _on_card(
    dataset: str, psi: float, found: "Evaluation", obedience: "list[Trait]", failures: str
) -> Any:
    from models import bundle

    return bundle.Evaluation(
        dataset=dataset,
        psi=psi,
        measures={**asdict(found.native), "novelty": found.novelty, "copies": found.copies},
        served=asdict(found.served),
        held_out=asdict(found.held_out) if found.held_out else {},
        backgrounds=asdict(found.backgrounds) if found.backgrounds else {},
        traits=[asdict(trait) for trait in obedience],
        failures=failures,
    )


def _tables(
    version: str, dataset: str, found: "Evaluation", obedience: "list[Trait]"
) -> list[Table]:
    title = f"{version[:12]} against {dataset}"
    tables = [_comparison(title, found.served)]
    if found.native.size != found.served.size:
        tables.append(_comparison(title, found.native))
    tables.append(_likeness(found))
    if found.held_out:
        tables.append(_held_out(found.held_out))
    if obedience:
        tables.append(_traits(obedience))
    return tables


def _comparison(title: str, found: "Comparison") -> Table:
    table = Table(
        "measure",
        "model",
        "95 %",
        "perfect",
        "blurred ×2",
        title=f"{title}, {found.samples:,} faces at {found.size} px",
    )
    table.add_row(
        "FD-Lite0",
        f"{found.fd:.1f}",
        _interval(found.fd_interval, 1),
        f"{found.fd_floor:.1f}",
        f"{found.fd_blur2:.1f}",
    )
    table.add_row(
        "FD-Own",
        f"{found.fd_own:.1f}",
        _interval(found.fd_own_interval, 1),
        f"{found.fd_own_floor:.1f}",
        "",
    )
    table.add_row("KID-Lite0", f"{found.kid:.4f}", "", f"{found.kid_floor:.4f}", "")
    table.add_row("precision", f"{found.precision:.3f}", "", "", "")
    table.add_row("recall", f"{found.recall:.3f}", "", "", "")
    table.add_row("density", f"{found.density:.3f}", "", "", "")
    table.add_row(
        "coverage",
        f"{found.coverage:.3f}",
        _interval(found.coverage_interval, 3),
        f"{found.coverage_floor:.3f}",
        "",
    )
    return table


def _likeness(found: "Evaluation") -> Table:
    table = Table("measure", "model", "perfect")
    table.add_row("novelty", f"{found.novelty:.2f}", "1.00")
    table.add_row("copies", f"{100 * found.copies:.1f} %", "1.0 %")
    if found.backgrounds:
        shares = (found.backgrounds.two_coloured, found.backgrounds.two_coloured_real)
        table.add_row("two-coloured backgrounds", *(f"{100 * share:.1f} %" for share in shares))
    return table


def _held_out(found: "HeldOut") -> Table:
    title = f"{found.samples:,} faces at {found.size} px against pictures of each kind"
    table = Table("measure", "held out", "trained on", title=title)
    table.add_row("FD-Lite0", f"{found.fd:.1f}", f"{found.fd_trained:.1f}")
    table.add_row("precision", f"{found.precision:.3f}", f"{found.precision_trained:.3f}")
    table.add_row("recall", f"{found.recall:.3f}", f"{found.recall_trained:.3f}")
    table.add_row("coverage", f"{found.coverage:.3f}", f"{found.coverage_trained:.3f}")
    return table


def _traits(obedience: "list[Trait]") -> Table:
    table = Table("trait", "values", "shown", "kept", "least kept", "at psi 0.7", "kept", "judge")
    for trait in obedience:
        marks = (
            trait.shown,
            trait.kept,
            trait.worst_kept,
            trait.truncated.shown,
            trait.truncated.kept,
            trait.judge,
        )
        table.add_row(
            trait.name, str(len(trait.values)), *(f"{100 * mark:.1f} %" for mark in marks)
        )
    return table


def _interval(interval: tuple[float, float], digits: int) -> str:
    return " to ".join(f"{end:.{digits}f}" for end in interval)
