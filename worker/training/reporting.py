"""Reports a run's progress: as database events, to a metrics file, TensorBoard and a terminal."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from PIL import Image
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from models import runs
from models.bundle.generator import Pixels
from models.datasets.exclusions import Reason
from models.runs import Fence
from models.storage import atomic
from worker.enlarging.stage import StageProgress
from worker.evaluation.served_size import Measures
from worker.terminal import PlainConsole

# The event by stage after the training.
STAGE_PROGRESS = {
    "matching": "matching.progress",
    "enlarger": "enlarger.progress",
    "distillation": "distillation.progress",
}
# What the terminal says at an event without a message.
SENTENCES = {
    "enlarger.started": "enlarger: {steps:,} steps on {pictures:,} pictures, {scale} times larger",
    "enlarger.measured": "enlarger: {psnr} dB on held-out pictures, {psnr_without} dB without it",
    "matching.started": "matching: {steps:,} steps",
    "matching.measured": "matching: {difference} levels of 255 from the set's pictures, "
    "{difference_before} before",
    "distillation.started": "distillation: {steps:,} steps",
    "distillation.measured": "distillation: {difference} levels of 255 from the enlarger's "
    "pictures, {difference_before} before",
}
LINE_SECONDS = 30.0  # between lines of progress where the terminal shows no bar


class Reporter:
    """Publishes the progress of one attempt. folder: the run's, `$KAO_HOME/runs/<id>`."""

    def __init__(self, engine: sa.Engine, run: str, fence: Fence, folder: Path) -> None:
        self.engine, self.run, self.fence, self.folder = engine, run, fence, folder
        (folder / "sheets").mkdir(parents=True, exist_ok=True)
        self._metrics = (folder / "metrics.jsonl").open("a", buffering=1)
        self._board = SummaryWriter(folder / "tensorboard")
        self._console = PlainConsole(stderr=True)
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[summary]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("training", total=1.0, summary="")
        self._next_event = self._next_line = 0.0
        self._bar.start()

    def preparing(self, count: int, total: int) -> None:
        """Report how many images of the dataset are packed."""
        self._bar.update(self._task, description="dataset", completed=count / max(total, 1))
        self._line(f"dataset  {count:,} of {total:,} pictures", count >= total)
        if self._due(2.0) and count < total:
            runs.record(
                self.engine,
                self.run,
                self.fence,
                "dataset.progress",
                {"done": count, "total": total},
            )

    def left_out(self, reasons: Sequence[Reason]) -> None:
        """Print which files of the dataset are not used, and why."""
        for reason in reasons:
            self._console.print(reason.describe(), style="yellow")

    def progress(self, data: dict[str, Any], step: int, fraction: float) -> None:
        """Report a step's losses; events become rarer as the run goes on."""
        summary = (
            f"epoch {data['epoch']}  {data['images']:,} images  {data['images_per_second']:.0f}/s  "
            f"D {data['d_loss']:.3f} (real {data['d_real']:.2f}, fake {data['d_fake']:.2f})  "
            f"G {data['g_loss']:.3f}"
        )
        self._bar.update(self._task, description="training", completed=fraction, summary=summary)
        self._metrics.write(json.dumps(data) + "\n")
        for name, value in data.items():
            if isinstance(value, float):
                self._board.add_scalar(name, value, data["images"])
        if fraction >= 1 or self._due(min(60.0, max(1.0, data["seconds"] / 200))):
            runs.record(self.engine, self.run, self.fence, "run.progress", data, progress=True)
            if self._bar.disable:
                self._console.print(f"{time.strftime('[%X]')} step {step}  {summary}")

    def stage(self, name: str, at: StageProgress) -> None:
        """Report the progress of a stage after the training: one of STAGE_PROGRESS."""
        summary = f"step {at.step:,} of {at.steps:,}  loss {at.loss:.4f}"
        self._bar.update(
            self._task, description=name, completed=at.step / at.steps, summary=summary
        )
        self._line(f"{name}  {summary}", at.step == at.steps)
        self._metrics.write(json.dumps({name: asdict(at)}) + "\n")
        self._board.add_scalar(f"{name}/loss", at.loss, at.step)
        if at.step == at.steps or self._due(2.0):
            self.event(STAGE_PROGRESS[name], asdict(at))

    def event(self, type: str, data: dict[str, Any]) -> None:
        """Record an event, and print its message or what SENTENCES says of it."""
        runs.record(self.engine, self.run, self.fence, type, data)
        if text := data.get("message"):
            self._console.print(text, style="yellow")
        elif type in SENTENCES:
            self._console.print(SENTENCES[type].format(**data))

    def memory(self, summary: str, data: dict[str, Any]) -> None:
        """Report the estimated memory. summary: as "9.1 of 24.0 GB"."""
        self.event("memory.estimated", data)
        self._console.print(f"needs about {summary} of memory")

    def measurement(self, measures: Measures) -> None:
        """Report a measurement of the generator that would be published."""
        data = {name: round(value, 5) for name, value in measures.items()}
        self._metrics.write(json.dumps({"measured": data}) + "\n")
        for name, value in data.items():
            self._board.add_scalar(f"measured/{name}", value, data["images"])
        self.event("run.measured", data)
        self._console.print(
            f"FD {data['fd']:.1f}  coverage {data['coverage']:.3f}  at {data['images']:,} images"
        )

    def sheet(self, pixels: Pixels, images: int, store: Callable[[Path], None]) -> None:
        """Save and announce a sheet (H, W, 3) of fixed latents' faces. store: copies its file."""
        name = f"{images:010d}.png"
        path = self.folder / "sheets" / name
        with atomic.whole_file(path) as temporary:
            Image.fromarray(pixels).save(temporary, "PNG")
        store(path)
        self._board.add_image("samples", pixels, images, dataformats="HWC")
        self.event("sheet.drawn", {"images": images, "sheet": name})

    def close(self) -> None:
        """Close the files and restore the terminal."""
        self._bar.stop()
        self._board.close()
        self._metrics.close()

    def _line(self, text: str, is_last: bool) -> None:
        """Print a line of progress where there is no bar, seldom or at the end."""
        if self._bar.disable and (is_last or time.monotonic() >= self._next_line):
            self._next_line = time.monotonic() + LINE_SECONDS
            self._console.print(f"{time.strftime('[%X]')} {text}")

    def _due(self, seconds: float) -> bool:
        if time.monotonic() < self._next_event:
            return False
        self._next_event = time.monotonic() + seconds
        return True
