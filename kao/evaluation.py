"""`kao evaluate`: measure a model's faces against real pictures."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.progress import Progress
from rich.table import Table

from kao.arguments import DATASETS, Limit, Model, dataset_name
from kao.console import err, out
from models.errors import KaoError
from models.settings import Settings
from models.storage import atomic

if TYPE_CHECKING:
    import sqlalchemy as sa

    from models.bundle.generator import Drawer, Pixels
    from models.registry import Registry
    from worker.datasets.packing import PackedDataset
    from worker.evaluation.comparison import Comparison, HeldOut
    from worker.evaluation.evaluate import Evaluation
    from worker.evaluation.trait_accuracy import Trait

TRAIT_FACES = 500

Dataset = Annotated[str, typer.Option(help=DATASETS)]
Samples = Annotated[int, typer.Option(min=40, help="Faces to draw; 5,000 for a headline.")]
Size = Annotated[
    int | None,
    typer.Option(
        min=16,
        max=1024,
        help="Measure the faces as served at so many pixels. Default: 256, the size that most "
        "people see, where half of the set's pictures are that large; else the network's "
        "resolution.",
    ),
]
Psi = Annotated[float, typer.Option(min=0, max=1.5, help="Truncation of the faces.")]
Picture = Annotated[
    Path | None, typer.Option(help="A PNG of the likeliest copies beside their models.")
]
Traits = Annotated[
    bool,
    typer.Option(
        help="Request each trait of 500 faces and say how many show it, at this psi and at 0.7."
    ),
]
Keep = Annotated[bool, typer.Option(help="Add the model once more, with this on its card.")]
DefaultPsi = Annotated[
    float | None,
    typer.Option(
        min=0, max=1.5, help="For the card, with --keep: the psi of pictures that name none."
    ),
]
Failures = Annotated[str, typer.Option(help="For the card: what you saw go wrong, in your words.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Result(NamedTuple):
    """What was measured, and of what. pairs: the picture of the likeliest copies."""

    version: str
    dataset: str
    psi: float
    evaluation: "Evaluation"
    traits: "list[Trait]"
    pairs: "Pixels"


def evaluate(
    model: Model,
    dataset: Dataset,
    samples: Samples = 5_000,
    size: Size = None,
    psi: Psi = 1.0,
    limit: Limit = None,
    picture: Picture = None,
    traits: Traits = False,
    keep: Keep = False,
    default_psi: DefaultPsi = None,
    failures: Failures = "",
    json_: Json = False,
) -> None:
    """Measure a model's faces against real ones: FD, KID, precision, recall, coverage, novelty."""
    from PIL import Image

    from models import bootstrap
    from models.registry import Registry

    if not keep and (failures or default_psi is not None):
        raise KaoError("--failures and --default-psi go onto the model's card: add --keep.")
    settings = Settings()
    engine = bootstrap.prepare(settings)
    registry = Registry(engine, settings.blobs)
    version = registry.resolve(model)
    measurement = _Measurement(
        settings, engine, registry.load(version, settings.parallel), version, psi
    )
    result = measurement.run(dataset_name(dataset), samples, size, limit, traits)
    if keep:
        _publish(registry, result, failures, default_psi)
    if picture is not None:
        with atomic.whole_file(picture) as temporary:
            Image.fromarray(result.pairs).save(temporary, "PNG")
    if json_:
        out.print_json(data=_as_json(result))
        return
    for table in _tables(result):
        out.print(table)


@dataclass(frozen=True)
class _Measurement:
    """The measurement of one model, with progress in the terminal."""

    settings: Settings
    engine: "sa.Engine"
    drawer: "Drawer"
    version: str
    psi: float

    def run(
        self, name: str, samples: int, size: int | None, limit: int | None, with_traits: bool
    ) -> Result:
        """Pack the dataset at both sizes, draw the faces and measure them."""
        from worker.datasets import lookup
        from worker.evaluation import trait_accuracy
        from worker.evaluation.evaluate import evaluate

        settings, drawer, psi = self.settings, self.drawer, self.psi
        resolution = drawer.card.network.resolution
        if size is None:
            size = lookup.served_size(settings, self.engine, name, resolution)
        with Progress(console=err, disable=not sys.stderr.isatty(), transient=True) as bar:
            task = bar.add_task("dataset", total=None)

            def report(stage: str, count: int, total: int) -> None:
                bar.update(task, description=stage, completed=count, total=total)

            native_set = self._pack(name, resolution, limit, report)
            served_set = None
            if size != resolution:
                sample = lookup.sample_for(samples, native_set.count)
                served_set = self._pack(name, size, limit, report, sample)
            evaluation, pairs = evaluate(
                *(drawer, native_set, samples, settings.cache, settings.parallel, psi, report),
                served_set=served_set,
            )
            traits = []
            if with_traits:
                traits = trait_accuracy.evaluate(drawer, native_set, TRAIT_FACES, psi)
        return Result(self.version, native_set.name, psi, evaluation, traits, pairs)

    def _pack(
        self,
        name: str,
        side: int,
        limit: int | None,
        report: Callable[[str, int, int], None],
        sample: int | None = None,
    ) -> "PackedDataset":
        from worker.datasets import lookup

        return lookup.pack_named(
            self.settings,
            self.engine,
            name,
            side,
            limit,
            lambda *at: report(f"dataset at {side} px", *at),
            sample=sample,
        )


def _publish(
    registry: "Registry", result: Result, failures: str, default_psi: float | None
) -> None:
    """Publish the model once more, with the measures on its card."""
    from worker.publishing import bundle_writer

    version = bundle_writer.with_evaluation(
        registry, result.version, _on_card(result, failures), result.pairs, default_psi
    )
    err.print(f"Kept as {version}; `kao models promote {version[:12]}` serves it.")


def _as_json(result: Result) -> dict[str, Any]:
    """The measures at the served size at the top; at the network's resolution in `native`."""
    fields = asdict(result.evaluation)
    return {
        "version": result.version,
        "psi": result.psi,
        **fields.pop("served"),
        **fields,
        **({"traits": [asdict(trait) for trait in result.traits]} if result.traits else {}),
    }


def _on_card(result: Result, failures: str) -> Any:
    from models import bundle

    evaluation = result.evaluation
    similarity = {"novelty": evaluation.novelty, "copies": evaluation.copies}
    return bundle.Evaluation(
        dataset=result.dataset,
        psi=result.psi,
        measures={**asdict(evaluation.native), **similarity},
        served=asdict(evaluation.served),
        held_out=asdict(evaluation.held_out) if evaluation.held_out else {},
        backgrounds=asdict(evaluation.backgrounds) if evaluation.backgrounds else {},
        traits=[asdict(trait) for trait in result.traits],
        failures=failures,
    )


def _tables(result: Result) -> list[Table]:
    evaluation = result.evaluation
    title = f"{result.version[:12]} against {result.dataset}"
    tables = [_comparison(title, evaluation.served)]
    if evaluation.native.size != evaluation.served.size:
        tables.append(_comparison(title, evaluation.native))
    tables.append(_likeness(evaluation))
    if evaluation.held_out:
        tables.append(_held_out(evaluation.held_out))
    if result.traits:
        tables.append(_traits(result.traits))
    return tables


def _comparison(title: str, measures: "Comparison") -> Table:
    table = Table(
        "measure",
        "model",
        "95 %",
        "perfect",
        "blurred ×2",
        title=f"{title}, {measures.samples:,} faces at {measures.size} px",
    )
    table.add_row(
        "FD-Lite0",
        f"{measures.fd:.1f}",
        _interval(measures.fd_interval, 1),
        f"{measures.fd_floor:.1f}",
        f"{measures.fd_blur2:.1f}",
    )
    table.add_row(
        "FD-Own",
        f"{measures.fd_own:.1f}",
        _interval(measures.fd_own_interval, 1),
        f"{measures.fd_own_floor:.1f}",
        "",
    )
    table.add_row("KID-Lite0", f"{measures.kid:.4f}", "", f"{measures.kid_floor:.4f}", "")
    table.add_row("precision", f"{measures.precision:.3f}", "", "", "")
    table.add_row("recall", f"{measures.recall:.3f}", "", "", "")
    table.add_row("density", f"{measures.density:.3f}", "", "", "")
    table.add_row(
        "coverage",
        f"{measures.coverage:.3f}",
        _interval(measures.coverage_interval, 3),
        f"{measures.coverage_floor:.3f}",
        "",
    )
    return table


def _likeness(evaluation: "Evaluation") -> Table:
    table = Table("measure", "model", "perfect")
    table.add_row("novelty", f"{evaluation.novelty:.2f}", "1.00")
    table.add_row("copies", f"{100 * evaluation.copies:.1f} %", "1.0 %")
    if evaluation.backgrounds:
        shares = (evaluation.backgrounds.two_coloured, evaluation.backgrounds.two_coloured_real)
        table.add_row("two-coloured backgrounds", *(f"{100 * share:.1f} %" for share in shares))
    return table


def _held_out(measures: "HeldOut") -> Table:
    title = f"{measures.samples:,} faces at {measures.size} px against pictures of each kind"
    table = Table("measure", "held out", "trained on", title=title)
    table.add_row("FD-Lite0", f"{measures.fd:.1f}", f"{measures.fd_trained:.1f}")
    table.add_row("precision", f"{measures.precision:.3f}", f"{measures.precision_trained:.3f}")
    table.add_row("recall", f"{measures.recall:.3f}", f"{measures.recall_trained:.3f}")
    table.add_row("coverage", f"{measures.coverage:.3f}", f"{measures.coverage_trained:.3f}")
    return table


def _traits(traits: "list[Trait]") -> Table:
    table = Table("trait", "values", "shown", "kept", "least kept", "at psi 0.7", "kept", "judge")
    for trait in traits:
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
