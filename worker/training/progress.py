"""The progress of a run beside the trainer's state, for its snapshots and its card."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from worker.evaluation.served_size import Measures, is_lower
from worker.publishing.bundle_writer import Moment

MOST_WARNINGS = 50  # 10 kB; the events have all of them


@dataclass
class Progress:
    """The state of one run.

    seconds: of training, in this attempt and those before. measures: of the weights that would be
    published, the best or the last; lowest: those with the lowest FD so far; best: the averaged
    weights that have it within noise. curve: images and FD of each measurement. moments: averaged
    weights early on, the oldest first. enlarger: the state of that stage; students: of those that
    train a student, by their names.
    """

    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    rollbacks: int = 0
    measures: Measures = field(default_factory=dict)
    lowest: Measures = field(default_factory=dict)
    best: dict[str, Tensor] | None = None
    curve: list[tuple[int, float]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    enlarger: dict[str, Any] | None = None
    students: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_state(cls, state: dict[str, Any], publish: str) -> "Progress":
        """The progress of a snapshot. publish: the recipe's, which may have been another."""
        # Snapshots of version 0.1.0 have `seconds` alone.
        measures = state.get("measures", {})
        return cls(
            seconds=state["seconds"],
            warnings=state.get("warnings", []),
            rollbacks=state.get("rollbacks", 0),
            measures=measures,
            lowest=state.get("lowest", measures),
            best=state.get("best") if publish == "best" else None,
            curve=[(images, fd) for images, fd in state.get("curve", [])],
            moments=[Moment(*moment) for moment in state.get("moments", [])],
            enlarger=state.get("enlarger"),
            students=state.get("teaching", {}),
        )

    def state(self) -> dict[str, Any]:
        """What `from_state` needs: plain tensors, numbers and texts."""
        return {
            "seconds": self.seconds,
            "best": self.best,
            "measures": self.measures,
            "lowest": self.lowest,
            "warnings": self.warnings,
            "rollbacks": self.rollbacks,
            "curve": self.curve,
            "moments": [tuple(moment) for moment in self.moments],
            "enlarger": self.enlarger,
            "teaching": self.students,
        }

    def add_warning(self, message: str) -> None:
        """Add a warning for the card, which has room for the first MOST_WARNINGS."""
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(message)

    def drop_after(self, images: int) -> None:
        """Drop what was kept of the steps that a rollback undoes."""
        self.curve = [each for each in self.curve if each[0] <= images]
        self.moments = [each for each in self.moments if each.images <= images]

    def add_measures(
        self, measures: Measures, publish: str, copy_weights: Callable[[], dict[str, Tensor]]
    ) -> None:
        """Add a measurement; with `publish` best also the weights, if they are the best so far."""
        # A diverged generator draws images that are not finite, and its FD is not finite either.
        is_finite = math.isfinite(measures["fd"])
        if is_finite:
            images, fd = int(measures["images"]), round(measures["fd"], 2)
            # A run that is resumed after its training measures the same weights again.
            if self.curve and self.curve[-1][0] == images:
                self.curve.pop()
            self.curve.append((images, fd))
        if publish != "best":
            # Where the last snapshot is published, its own measures are the model's.
            self.measures = measures
        elif is_finite and not (self.lowest and is_lower(self.lowest, measures)):
            # Within noise of the lowest FD the one that has seen more images is published.
            self.measures, self.best = measures, copy_weights()
            if measures["fd"] < self.lowest.get("fd", math.inf):
                self.lowest = measures
