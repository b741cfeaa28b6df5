"""One attempt at a run, from the dataset to the published bundle."""

import signal
import time
from types import FrameType
from typing import Any

import numpy as np
import sqlalchemy as sa
import torch

from models import bundle, latents, runs, storage
from models.recipes import Recipe
from models.registry import Registry
from models.runs import Fence
from models.settings import Settings
from worker import publishing
from worker.datasets import sources
from worker.datasets.packing import Packed
from worker.training import snapshots
from worker.training.reporting import Reporter
from worker.training.trainer import Losses, Trainer
from worker.training.watch import Watch


class HandedBack(Exception):
    """Told to stop (SIGTERM): the snapshot is written, another attempt goes on from it."""


class Attempt:
    """Owns a claimed run until it is published, handed back, or fails."""

    def __init__(self, settings: Settings, engine: sa.Engine, row: runs.Row, fence: Fence) -> None:
        self.settings, self.engine, self.run, self.fence = settings, engine, row["id"], fence
        self.recipe = Recipe.model_validate(row["recipe"])
        self.row = row
        self.snapshots = settings.storage / "snapshots" / self.run
        self.registry = Registry(engine, settings.storage)
        self.reporter = Reporter(engine, self.run, fence, settings.home / "runs" / self.run)
        self.seconds = 0.0  # of training, in this attempt and those before
        self.asked: int | None = None  # the last signal
        self.rate = 0.0

    def listen(self) -> None:
        """SIGTERM: snapshot and leave. SIGINT: this is enough, publish what is there."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.asked = number

    def go(self) -> str:
        """Train to the recipe's end and publish; the new version."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.packed = self._pack()
        data = torch.from_numpy(np.array(self.packed.images()))
        self.trainer = Trainer(self.recipe, data.to(device), device, self._bf16(device))
        self.device = device
        self._restore()
        self.watch = Watch(self.recipe.loss, _diversity(data))
        try:
            self._train()
            return self._publish(final=True)
        finally:
            self.reporter.close()

    def _pack(self) -> Packed:
        packed = sources.pack_for(self.settings, self.engine, self.recipe, self.reporter.preparing)
        told = {"images": packed.count, "fingerprint": packed.fingerprint}
        skipped = [{"name": item.name, "reason": item.reason} for item in packed.skipped]
        # A set with thousands of broken files must not make one event of megabytes.
        told |= {"skipped": len(skipped), "skipped_first": skipped[:50]}
        self.reporter.event("dataset.ready", told)
        return packed

    def _bf16(self, device: torch.device) -> bool:
        if self.recipe.precision == "auto":
            if device.type == "cuda":
                return bool(torch.cuda.is_bf16_supported(including_emulation=False))
            return bool(torch.cpu._is_avx512_bf16_supported())
        return self.recipe.precision == "bf16"

    def _restore(self) -> None:
        if self.row["snapshot"] is None:
            return
        state = snapshots.read(self.snapshots, self.row["snapshot"])
        if state["fingerprint"] != self.packed.fingerprint:
            raise sources.DatasetError(
                "The dataset has changed since this run began; start a new run."
            )
        self.trainer.restore(state["trainer"])
        self.seconds = state["seconds"]
        self.reporter.event("run.resumed", {"images": self.trainer.images})

    def _train(self) -> None:
        recipe, trainer = self.recipe, self.trainer
        started, first = time.monotonic() - self.seconds, trainer.images
        began = time.monotonic()
        saved = told = published = began
        sheets = trainer.images // recipe.sheet_images
        while not self._ended():
            losses = trainer.advance()
            here = time.monotonic()
            self.seconds = here - started
            for name, message in self.watch.see(losses):
                self.reporter.event("run.warning", {"warning": name, "message": message})
            if here - told >= 1 or self._ended():
                self.rate = (trainer.images - first) / max(here - began, 1e-6)
                self._report(losses)
                told = here
            if trainer.images // recipe.sheet_images > sheets:
                sheets = trainer.images // recipe.sheet_images
                self.reporter.sheet(self._sheet(), trainer.images)
            if here - saved >= recipe.snapshot_seconds:
                self._save()
                saved = time.monotonic()
            if recipe.publish_minutes and here - published >= recipe.publish_minutes * 60:
                self._publish(final=False)
                published = here
            if self.asked == signal.SIGTERM:
                self._save()
                raise HandedBack
        self._save()

    def _fraction(self) -> float:
        """How much of the run is done, by whichever end is nearest."""
        recipe = self.recipe
        parts = [0.0]
        if recipe.minutes is not None:
            parts.append(self.seconds / (recipe.minutes * 60))
        if recipe.images is not None:
            parts.append(self.trainer.images / recipe.images)
        if recipe.epochs is not None:
            parts.append(self.trainer.step / (recipe.epochs * self.trainer.steps_per_epoch))
        return max(parts)

    def _ended(self) -> bool:
        return self.asked == signal.SIGINT or self._fraction() >= 1

    def _report(self, losses: Losses) -> None:
        fraction = self._fraction()
        left = self.seconds * (1 / fraction - 1) if 0 < fraction < 1 else 0.0
        data: dict[str, Any] = {
            "iteration": self.trainer.step,
            "epoch": self.trainer.epoch,
            "images": self.trainer.images,
            "seconds": round(self.seconds, 2),
            "images_per_second": round(self.rate, 2),
            "seconds_left": round(left, 1),
            "fraction": round(min(fraction, 1.0), 4),
            **{name: round(value, 5) for name, value in losses.items()},
        }
        self.reporter.progress(data, self.trainer.step, min(fraction, 1.0))

    def _save(self) -> None:
        state = {
            "trainer": self.trainer.state(),
            "seconds": self.seconds,
            "fingerprint": self.packed.fingerprint,
        }
        name = snapshots.write(self.snapshots, self.trainer.step, state)
        told = {"images": self.trainer.images, "iteration": self.trainer.step}
        runs.snapshot(self.engine, self.run, self.fence, name, told)
        snapshots.prune(self.snapshots, name)

    @torch.no_grad()
    def _sheet(self) -> bundle.Pixels:
        seeds = range(publishing.SHEET**2)
        z = np.stack([latents.derive(str(seed), self.recipe.latent) for seed in seeds])
        drawn = self.trainer.average(torch.from_numpy(z).to(self.device)).float()
        drawn = drawn.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return publishing.sheet(drawn.permute(0, 2, 3, 1).cpu().numpy())

    def _publish(self, final: bool) -> str:
        training = bundle.Training(
            images=self.trainer.images, seconds=round(self.seconds, 1), device=_name(self.device)
        )
        with storage.scratch_folder(self.registry.bundles) as folder:
            publishing.write(
                folder, self.trainer.average, self.recipe, self.packed, training, self.run
            )
            version = self.registry.publish(
                folder,
                run=self.run,
                fence=self.fence,
                final=final,
                promote=self.recipe.promote == "always",
            )
        if not final:
            self.reporter.event("model.published", {"version": version})
        return version


def _diversity(data: torch.Tensor) -> float:
    """How much real images differ: the mean deviation of a pixel in [-1, 1] units."""
    some = data[: min(len(data), 512)].float().div(127.5)
    return float(some.std(0).mean())


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
