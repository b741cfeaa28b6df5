"""Publishes what a run has trained, and decides whether it becomes the default."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
import structlog
import torch
from torch import nn

from models import bundle
from models.errors import BadBundle, DatasetError, UnknownDataset
from models.failpoints import fail_point
from models.recipes.recipe import Recipe
from models.registry import Registry
from models.runs import Fence
from models.settings import Settings
from models.storage import atomic
from worker.datasets import lookup
from worker.datasets.packing import PackedDataset
from worker.evaluation.served_size import ServedSize
from worker.hardware import devices
from worker.publishing import bundle_writer, number_properties, promotion
from worker.publishing.slider_search import Property
from worker.training.progress import Progress
from worker.training.trainer import Trainer

log = structlog.get_logger()


class Student(NamedTuple):
    """A generator that learnt given pictures, and the reports of that by field of its card."""

    network: nn.Module
    reports: Mapping[str, bundle.StudentReport]


@dataclass(frozen=True)
class Publication:
    """Where one run publishes. dataset: at the network's resolution."""

    settings: Settings
    engine: sa.Engine
    registry: Registry
    recipe: Recipe
    dataset: PackedDataset
    run: str
    fence: Fence

    def publish(
        self,
        trainer: Trainer,
        progress: Progress,
        enlarger: bundle_writer.Enlarger | None,
        student: Student | None,
        final: bool,
    ) -> str:
        """Write a bundle and add it to the registry; the new version. final: the run ends.

        student: what the generator became in later stages, which is published in its place.
        """
        generator = self.generator(trainer, progress) if student is None else student.network
        training = bundle.Training(
            images=int(progress.measures["images"]) if progress.best else trainer.images,
            seconds=round(progress.seconds, 1),
            device=devices.name(trainer.device),
            warnings=progress.warnings,
        )
        with atomic.scratch_folder(self.registry.bundles) as folder:
            fail_point("publish.begun")
            bundle_writer.write(
                folder,
                generator,
                self.recipe,
                self.dataset,
                training,
                run=self.run,
                measures=progress.measures,
                attributes=trainer.reals.attributes,
                discriminator=trainer.discriminator if self.recipe.critic else None,
                moments=[each for each in progress.moments if each.images < training.images],
                curve=progress.curve,
                enlarger=enlarger,
                properties=self._number_properties,
                student_reports={} if student is None else student.reports,
            )
            return self.registry.publish(
                folder,
                run=self.run,
                fence=self.fence,
                final=final,
                promote=self._judge(folder),
                latest=self.recipe.publish != "manual",
            )

    def generator(self, trainer: Trainer, progress: Progress) -> nn.Module:
        """The averaged generator, with the best weights where the recipe publishes those."""
        if progress.best is None:
            return trainer.average
        # A copy, since the average changes further while the run goes on.
        generator = copy.deepcopy(trainer.average)
        generator.load_state_dict(progress.best)
        return generator

    @cached_property
    def _number_properties(self) -> dict[str, Property]:
        """What the recipe's numeric labels describe, learnt once a run; they become sliders."""
        return number_properties.learn(self.dataset, self.recipe.labels)

    def _judge(self, folder: Path) -> bool:
        """Measure the written model at the served size; whether to serve it by default.

        Where that fails, the model is published all the same, and does not become the default.
        """
        recipe = self.recipe
        if recipe.measure_every is not None or recipe.promote == "if_better":
            try:
                is_better = self._measure(folder)
            except (BadBundle, DatasetError, UnknownDataset) as error:
                # The dataset was removed while the run trained, or the default is damaged.
                log.warning("publication.not_measured", run=self.run, reason=str(error))
                is_better = False
            if recipe.promote == "if_better":
                return is_better
        return recipe.promote == "always"

    def _measure(self, folder: Path) -> bool:
        """Measure the written model at the served size; whether it is known to beat the default."""
        recipe, threads = self.recipe, torch.get_num_threads()
        dataset = lookup.pack_served(self.settings, self.engine, recipe)
        real = ServedSize(dataset, recipe.measure_samples, self.settings.cache, threads)
        measures = promotion.add_measures(folder, real, threads)
        if recipe.promote != "if_better":
            return False  # without the comparison, in which the default draws for minutes
        return promotion.is_better_than_default(
            measures, self.registry, self.dataset, self._pack, real, threads
        )

    def _pack(self, side: int) -> PackedDataset:
        """The run's set at another resolution."""
        name, limit = self.recipe.dataset, self.recipe.dataset_limit
        return lookup.pack_named(
            self.settings, self.engine, name, side, limit, lambda count, total: None
        )
