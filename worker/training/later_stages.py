"""The stages after the adversarial training: two that train a student, and the enlarger's."""

import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from torch import nn

from models import bundle
from models.networks import modern
from models.recipes.recipe import Recipe
from worker.enlarging.distillation import EnlargedPictures
from worker.enlarging.pairs import Pack
from worker.enlarging.stage import Stage, plan_for, train
from worker.evaluation.served_size import Measures, is_lower
from worker.hardware import devices
from worker.publishing.bundle_writer import Enlarger
from worker.student import Plan, StudentTraining, Teacher
from worker.training.distributed.collectives import Share
from worker.training.matching import LabelledPictures
from worker.training.progress import Progress
from worker.training.publication import Publication, Student
from worker.training.reporting import Reporter
from worker.training.trainer import Trainer

# This happens with photographs, because the enlarger also removes their real grain, and with labels
# that do not describe a picture completely.
NOT_BETTER = (
    "The generator stays as it was: FD was {before:.1f} before it learnt {pictures}, "
    "and {after:.1f} afterwards."
)


class StudentStage(NamedTuple):
    """A stage that trains a student.

    pictures: those that it learns, in words. field: of the card. started, measured, skipped: types
    of its events.
    """

    name: str
    pictures: str
    field: str
    started: str
    measured: str
    skipped: str


MATCHING = StudentStage(
    "matching",
    "the pictures of its labels",
    "matched",
    "matching.started",
    "matching.measured",
    "matching.skipped",
)
DISTILLATION = StudentStage(
    "distillation",
    "its enlarger's pictures",
    "distilled",
    "distillation.started",
    "distillation.measured",
    "distillation.skipped",
)


@dataclass(kw_only=True)
class LaterStages:
    """The stages of one run; each resumes from its state in the run's progress.

    pack: packs the set's large pictures. held_out_names: of those that are for measuring. measure:
    measures a generator, where the run measures itself. last_signal: the last one received. Any
    signal ends a stage; after SIGINT the run publishes what is trained. save: writes a snapshot.
    student: what the generator became.
    """

    recipe: Recipe
    trainer: Trainer
    progress: Progress
    reporter: Reporter
    publication: Publication
    pack: Pack
    held_out_names: Collection[str]
    measure: Callable[[nn.Module], Measures] | None
    last_signal: Callable[[], int | None]
    save: Callable[[], None]
    enlarger: Enlarger | None = None
    student: Student | None = None
    _enlarging: Stage | None = None
    _students: dict[str, StudentTraining] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """The steps of all stages as stored, those of earlier attempts included."""
        enlarger = self.progress.enlarger
        states = [*self.progress.students.values(), *([enlarger["trainer"]] if enlarger else [])]
        return sum(state["step"] for state in states)

    def run(self) -> None:
        """Run the stages of the recipe, to the end or until a signal.

        In this process alone: the others have ended, so the whole batch is its own.
        """
        self.trainer.execution.reset()  # frees the memory of recorded graphs
        self.trainer.reals.share = Share()
        self.trainer.inputs = replace(self.trainer.inputs, share=Share())
        for stage in (self._match, self._enlarge, self._distil):
            if self.last_signal() is None:
                stage()

    def store(self) -> None:
        """Put the stages' states into the progress, for a snapshot."""
        if self._enlarging is not None:
            self.progress.enlarger = self._enlarging.state()
        for name, training in self._students.items():
            self.progress.students[name] = training.state()

    def _is_stopped(self) -> bool:
        return self.last_signal() is not None

    @property
    def _bf16(self) -> bool:
        return devices.uses_bf16(self.recipe, self.trainer.device)

    def _enlarge(self) -> None:
        recipe = self.recipe
        plan = plan_for(recipe, self.trainer.step)
        if not plan.steps:
            return
        stage = Stage(self.trainer.device, self._bf16, self.reporter.event)
        pairs = stage.find_pairs(
            self.pack, recipe.resolution, recipe.dataset_limit, self.held_out_names
        )
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

    def _match(self) -> None:
        steps = self.recipe.matching_steps
        if steps:
            teacher = LabelledPictures(self.trainer.inputs)
            self._train_student(MATCHING, teacher, Plan(steps, self.trainer.step, mapping=True))

    def _distil(self) -> None:
        steps = min(self.recipe.distillation_steps, self.trainer.step)
        if self.enlarger is None or not steps:
            return
        network, scale = self.enlarger.network, self.enlarger.card.scale
        latents = self.trainer.inputs.latents
        teacher = EnlargedPictures(
            self._generator(), network, scale, latents, self._bf16, self.recipe.accumulation
        )
        self._train_student(DISTILLATION, teacher, Plan(steps, self.trainer.step, mapping=False))

    def _generator(self) -> modern.Generator:
        """The generator that would be published now."""
        if self.student is not None:
            generator = self.student.network
        else:
            generator = self.publication.generator(self.trainer, self.progress)
        assert isinstance(generator, modern.Generator)  # the recipe's check
        return generator

    def _train_student(self, stage: StudentStage, teacher: Teacher, plan: Plan) -> None:
        training = StudentTraining(
            self._generator(), teacher, plan, self._bf16, self.recipe.accumulation
        )
        training.restore(self.progress.students.get(stage.name))
        self._students[stage.name] = training
        self.reporter.event(stage.started, {"steps": plan.steps})
        report = partial(self.reporter.stage, stage.name)
        train(training, self._is_stopped, report, self.save, self.recipe.snapshot_seconds)
        self.save()
        if self.last_signal() != signal.SIGTERM:
            self._finish(stage, training)

    def _finish(self, stage: StudentStage, training: StudentTraining) -> None:
        """Measure the student and take it, unless its FD is higher."""
        difference, difference_before = (round(levels, 2) for levels in training.measure())
        report = bundle.StudentReport(
            steps=training.step, difference=difference, difference_before=difference_before
        )
        self.reporter.event(stage.measured, report.model_dump())
        if self.measure is not None:
            before, after = self.progress.measures, self.measure(training.student)
            if is_lower(before, after):
                message = NOT_BETTER.format(
                    before=before["fd"], pictures=stage.pictures, after=after["fd"]
                )
                self.reporter.event(stage.skipped, {"message": message})
                return
            # `images` are those of the weights that the student began with.
            self.progress.measures = after | {"images": before["images"]}
            self.reporter.measurement(self.progress.measures)
        reports = {} if self.student is None else self.student.reports
        self.student = Student(training.student, {**reports, stage.field: report})
