"""The stage of a run that trains its enlarger, between the adversarial training and publishing."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from models.bundle.format import Enlargement
from models.recipes.automatic import FEWEST_PAIRS
from models.recipes.recipe import Recipe
from worker.enlarging import pairs
from worker.enlarging.pairs import Pack, Pairs
from worker.enlarging.training import EnlargerTrainer, Plan, Quality
from worker.publishing.bundle_writer import Enlarger

Event = Callable[[str, dict[str, Any]], None]
TOO_SMALL = (
    "No enlarger: of this set fewer than {fewest} pictures have a side of {side} pixels, twice the "
    "generator's."
)
NOT_BETTER = (
    "No enlarger: after {steps} steps held-out pictures have {psnr:.1f} dB through it and "
    "{without:.1f} dB without."
)


@dataclass(frozen=True)
class StageProgress:
    """How far the stage is."""

    step: int
    steps: int
    loss: float
    seconds_left: float


class Trainable(Protocol):
    """A training of so many steps."""

    step: int

    @property
    def steps(self) -> int: ...

    @property
    def is_finished(self) -> bool: ...

    def advance(self) -> float:
        """Take one step; its loss."""


def train(
    trainer: Trainable,
    is_stopped: Callable[[], bool],
    report: Callable[[StageProgress], None],
    save: Callable[[], None] | None = None,
    save_seconds: float = 60,
) -> None:
    """Train to the end, or until it is stopped; report at intervals, and before it is saved."""
    first = trainer.step
    start = last_save = last_report = time.monotonic()
    while not trainer.is_finished and not is_stopped():
        loss = trainer.advance()
        now = time.monotonic()
        saves = now - last_save >= save_seconds
        if now - last_report >= 1 or saves or trainer.is_finished:
            rate = (now - start) / (trainer.step - first)
            seconds_left = rate * (trainer.steps - trainer.step)
            report(
                StageProgress(trainer.step, trainer.steps, round(loss, 5), round(seconds_left, 1))
            )
            last_report = now
        if save is not None and saves:
            save()
            last_save = time.monotonic()


class Stage:
    """Trains one enlarger and measures it. event(type, data): records an event of the run."""

    def __init__(self, device: torch.device, bf16: bool, event: Event) -> None:
        self.device, self.bf16, self.event = device, bf16, event
        self.trainer: EnlargerTrainer | None = None
        self.seconds = 0.0  # of training, in this attempt and those before

    def find_pairs(
        self, pack: Pack, resolution: int, limit: int | None, without: Collection[str] = ()
    ) -> Pairs | None:
        """The set's pairs; None, with an event, where it has too few.

        limit, without: as of `pairs.find`.
        """
        training_pairs = pairs.find(pack, resolution, limit, without)
        if training_pairs is None:
            message = TOO_SMALL.format(fewest=FEWEST_PAIRS, side=2 * resolution)
            self.event("enlarger.skipped", {"message": message})
        return training_pairs

    def begin(self, training_pairs: Pairs, plan: Plan) -> None:
        """Make a new enlarger for these pairs."""
        self.trainer = EnlargerTrainer(training_pairs, plan, self.device, self.bf16)
        fields = {
            "pictures": training_pairs.trained_on,
            "scale": training_pairs.scale,
            "steps": plan.steps,
        }
        self.event("enlarger.started", fields)

    def train(
        self,
        is_stopped: Callable[[], bool],
        report: Callable[[StageProgress], None],
        save: Callable[[], None] | None = None,
        save_seconds: float = 60,
    ) -> None:
        """Train to the plan's end, or until it is stopped; report and save at intervals."""
        assert self.trainer is not None
        before, start = self.seconds, time.monotonic()

        def report_and_count(progress: StageProgress) -> None:
            self.seconds = before + time.monotonic() - start
            report(progress)

        train(self.trainer, is_stopped, report_and_count, save, save_seconds)

    def result(self) -> Enlarger | None:
        """The enlarger for a bundle; None, with an event, where it makes pictures no better."""
        assert self.trainer is not None
        trainer = self.trainer
        quality = trainer.measure()
        measures = {"psnr": round(quality.psnr, 2), "psnr_without": round(quality.psnr_without, 2)}
        self.event("enlarger.measured", {**measures, "seconds": round(self.seconds, 1)})
        if not quality.is_better:
            self.event("enlarger.skipped", {"message": _not_better(trainer.step, quality)})
            return None
        card = Enlargement(
            scale=trainer.pairs.scale,
            dataset=trainer.pairs.dataset,
            pictures=trainer.pairs.trained_on,
            steps=trainer.step,
            seconds=round(self.seconds, 1),
            **measures,
        )
        return Enlarger(trainer.network, card)

    def state(self) -> dict[str, Any] | None:
        """What `restore` needs; None before the pairs are found."""
        if self.trainer is None:
            return None
        return {"trainer": self.trainer.state(), "seconds": self.seconds}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from a state of the same plan; a state of another plan is ignored."""
        assert self.trainer is not None
        if state is not None and self.trainer.restore(state["trainer"]):
            self.seconds = state["seconds"]


def plan_for(recipe: Recipe, generator_steps: int) -> Plan:
    """The recipe's enlarger after so many steps of the generator: it takes no more than those."""
    steps = min(recipe.enlarger_steps, generator_steps)
    shape = recipe.enlarger_width, recipe.enlarger_blocks, recipe.enlarger_fold
    return Plan(*shape, steps, recipe.seed)


def _not_better(steps: int, quality: Quality) -> str:
    return NOT_BETTER.format(steps=steps, psnr=quality.psnr, without=quality.psnr_without)
