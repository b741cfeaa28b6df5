"""`kao enlarge`: train an enlarger for a published model. Torch is imported when it is used."""

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress as Bar, TaskID

from kao.arguments import DATASETS, Limit, Model, dataset_name
from kao.console import err, out
from kao.processes import on_hangup
from models.errors import KaoError
from models.recipes.presets import ENLARGER_STEPS
from models.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from worker.enlarging.published_model import Options, Report
    from worker.enlarging.stage import StageProgress

EVENTS = {
    "enlarger.started": "{steps:,} steps on {pictures:,} pictures, enlarged {scale} times.",
    "enlarger.measured": "{psnr} dB on held-out pictures, {psnr_without} dB without the enlarger.",
    "enlarger.skipped": "{message}",
}

From = Annotated[
    str | None,
    typer.Option("--from", help="Copy the enlarger of this model instead of training one."),
]
Minutes = Annotated[float | None, typer.Option(min=0.001, help="Train for about so many minutes.")]
Steps = Annotated[
    int | None,
    typer.Option(min=1, help=f"Train for so many steps; {ENLARGER_STEPS:,} without minutes."),
]


def enlarge(
    model: Model,
    dataset: Annotated[str | None, typer.Option(help=DATASETS)] = None,
    from_: From = None,
    minutes: Minutes = None,
    steps: Steps = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and random numbers.")] = 0,
    width: Annotated[int, typer.Option(min=4, max=256, help="The enlarger's channels.")] = 32,
    blocks: Annotated[int, typer.Option(min=0, max=16, help="Its blocks of two convolutions.")] = 3,
    fold: Annotated[
        int, typer.Option(min=1, max=2, help="Pixels along a side of a place of its grid.")
    ] = 1,
    promote: Annotated[bool, typer.Option(help="Serve the result by default.")] = False,
) -> None:
    """Train an enlarger for a model and publish both: the same faces, crisp when large.

    The new version has the same generator. Ctrl-C saves what is trained; the same command
    continues there.
    """
    from models import bootstrap
    from models.registry import Registry
    from worker.enlarging.published_model import Options
    from worker.publishing import bundle_writer

    if minutes is not None and steps is not None:
        raise KaoError("Give --minutes or --steps, not both.")
    if from_ is not None and dataset is not None:
        raise KaoError("Give --dataset or --from, not both.")
    settings = Settings()
    engine = bootstrap.prepare(settings)
    registry = Registry(engine, settings.blobs)
    version = registry.resolve(model)
    if from_ is not None:
        new_version = bundle_writer.with_enlarger_of(registry, version, registry.resolve(from_))
    elif dataset is not None:
        name, step_count = dataset_name(dataset), steps or ENLARGER_STEPS
        options = Options(name, minutes, step_count, limit, seed, width, blocks, fold)
        new_version = _train(settings, engine, version, options)
    else:
        raise KaoError("Give --dataset to train an enlarger, or --from to copy one.")
    out.print(f"Published {new_version}: the faces of {version[:12]}, with an enlarger.")
    if promote:
        registry.promote(new_version)
    out.print(f"Try: kao sample --model {new_version[:12]} --seed 42 --size 256 --out face.png")


def _train(settings: Settings, engine: "sa.Engine", version: str, options: "Options") -> str:
    """Train an enlarger with progress in the terminal; the published version."""
    import torch

    from worker.enlarging.published_model import PublishedModel

    torch.set_num_threads(settings.parallel)
    stop = _Stop()
    with Bar(console=err, disable=not sys.stderr.isatty(), transient=True) as bar:
        report = _report(bar, bar.add_task("dataset", total=None), stop)
        model = PublishedModel(settings, engine, version, options, report)
        new_version = model.enlarge(stop.is_set)
    if new_version is None:
        raise KaoError(
            "Stopped. The same command continues." if stop.is_set() else "No model was published."
        )
    return new_version


class _Stop:
    """Ctrl-C, SIGTERM and a closed terminal, once there is something to save.

    Before that they end the command.
    """

    def __init__(self) -> None:
        self._is_set = False

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._set)
        on_hangup(lambda: self._set(signal.SIGHUP, None))

    def is_set(self) -> bool:
        return self._is_set

    def _set(self, _number: int, _frame: FrameType | None) -> None:
        self._is_set = True


def _report(bar: Bar, task: TaskID, stop: _Stop) -> "Report":
    """Show progress in the terminal; where there is none, what happened."""
    from worker.enlarging.published_model import Report

    def event(type: str, data: dict[str, Any]) -> None:
        if type == "enlarger.started":
            stop.listen()
        err.print(EVENTS[type].format(**data))

    def packing(count: int, total: int) -> None:
        bar.update(task, description="dataset", completed=count, total=total)

    def training(at: "StageProgress") -> None:
        text = f"enlarger  loss {at.loss:.4f}"
        bar.update(task, description=text, completed=at.step, total=at.steps)

    return Report(event, packing, training)
