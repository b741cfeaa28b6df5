"""The stages after the adversarial training: the enlarger, then the generator's distillation."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from models import bundle
from models.networks import modern
from models.recipes.recipe import Recipe
from worker import devices
from worker.enlarging.distillation import Distillation, Plan
from worker.enlarging.pairs import Pack
from worker.enlarging.stage import Stage, plan_for, train
from worker.evaluation.served_size import Measures, is_lower
from worker.publishing.bundle_writer import Enlarger
from worker.training.progress import Progress
from worker.training.publication import Publication, Student
from worker.training.reporting import Reporter
from worker.training.trainer import Trainer

# As with photographs, whose grain the enlarger removes with the generator's.
NOT_BETTER = (
    "The generator stays as it was: FD was {before:.1f} before it learnt its enlarger's pictures, "
    "and {after:.1f} afterwards."
)


@dataclass(kw_only=True)
class LaterStages:
    """The stages of one run; each resumes from its state in the run's progress.

    pack: packs the set's large pictures. measure: measures a generator, where the run measures
    itself. last_signal: the last one received. Any signal ends a stage; after SIGINT the run
    publishes what is trained. save: writes a snapshot.
    """

    recipe: Recipe
    trainer: Trainer
    progress: Progress
    reporter: Reporter
    publication: Publication
    pack: Pack
    measure: Callable[[nn.Module], Measures] | None
    last_signal: Callable[[], int | None]
    save: Callable[[], None]
    enlarger: Enlarger | None = None
    student: Student | None = None
    _enlarging: Stage | None = None
    _distillation: Distillation | None = None

    @property
    def step(self) -> int:
        """The steps of both stages."""
        trainer = self._enlarging.trainer if self._enlarging else None
        return sum(stage.step for stage in (trainer, self._distillation) if stage is not None)

    def run(self) -> None:
        """Run the stages of the recipe, to the end or until a signal."""
        if self.last_signal() is None:
            self._enlarge()
        if self.last_signal() is None:
            self._distil()

    def store(self) -> None:
        """Put the stages' states into the progress, for a snapshot."""
        if self._enlarging is not None:
            self.progress.enlarger = self._enlarging.state()
        if self._distillation is not None:
            self.progress.distillation = self._distillation.state()

    def _is_stopped(self) -> bool:
        return self.last_signal() is not None

    def _enlarge(self) -> None:
        recipe, device = self.recipe, self.trainer.device
        plan = plan_for(recipe, self.trainer.step)
        if not plan.steps:
            return
        stage = Stage(device, devices.uses_bf16(recipe, device), self.reporter.event)
        pairs = stage.find_pairs(self.pack, recipe.resolution, recipe.dataset_limit)
        if pairs is None:
            return
        stage.begin(pairs, plan)
        stage.restore(self.progress.enlarger)
        self._enlarging = stage
        report = partial(self.reporter.stage, "enlarger")
        stage.train(self._is_stopped, report, self.save, recipe.snapshot_seconds)
        self.save()
        if self.last_signal() != signal.SIGTERM:
            self.enlarger = stage.result()

    def _distil(self) -> None:
        plan = Plan(
            steps=min(self.recipe.distillation_steps, self.trainer.step), start=self.trainer.step
        )
        if self.enlarger is None or not plan.steps:
            return
        generator = self.publication.generator(self.trainer, self.progress)
        assert isinstance(generator, modern.Generator)  # the recipe's check
        network, scale = self.enlarger.network, self.enlarger.card.scale
        latents = self.trainer.inputs.latents
        bf16 = devices.uses_bf16(self.recipe, self.trainer.device)
        distillation = Distillation(generator, network, scale, latents, plan, bf16)
        distillation.restore(self.progress.distillation)
        self._distillation = distillation
        self.reporter.event("distillation.started", {"steps": plan.steps})
        report = partial(self.reporter.stage, "distillation")
        train(distillation, self._is_stopped, report, self.save, self.recipe.snapshot_seconds)
        self.save()
        if self.last_signal() != signal.SIGTERM:
            self.student = self._finish(distillation)

    def _finish(self, distillation: Distillation) -> Student | None:
        """Measure the student; what to publish of it, or None where its FD is higher."""
        difference, difference_before = (round(levels, 2) for levels in distillation.measure())
        card = bundle.Distillation(
            steps=distillation.step, difference=difference, difference_before=difference_before
        )
        self.reporter.event("distillation.measured", card.model_dump())
        if self.measure is not None:
            before, after = self.progress.measures, self.measure(distillation.student)
            if is_lower(before, after):
                message = NOT_BETTER.format(before=before["fd"], after=after["fd"])
                self.reporter.event("distillation.skipped", {"message": message})
                return None
            # `images` are those of the weights that the teacher has.
            self.progress.measures = after | {"images": before["images"]}
            self.reporter.measurement(self.progress.measures)
        return Student(distillation.student, card)
