"""Detects divergence: the ways in which GAN training fails, from the losses of each step."""

import math
from dataclasses import dataclass, field

from models.recipes.adversarial_losses import LOSSES, LossName
from worker.training.loss_log import Losses

MEMORY = 50  # steps over which quantities are averaged
GRACE_STEPS = 100  # steps before the first alarm: every run starts unbalanced
# Losses of healthy runs stay far below: BCE's own bound is 100 (PyTorch clamps its logarithms).
RUNAWAY = 1000.0
# Samples have collapsed when they differ by less than this share of what real images differ by.
COLLAPSE_SHARE = 0.15


class Divergence(Exception):
    """A loss is not finite, or the recipe ends the run at an alarm."""


@dataclass(frozen=True)
class Alarm:
    """One kind of divergence; raised once until it has passed."""

    name: str
    message: str


@dataclass
class Watch:
    """Running averages of the losses.

    real_diversity: the mean standard deviation of a pixel over real images, in units of [-1, 1].
    """

    loss: LossName
    real_diversity: float
    averages: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    active: set[str] = field(default_factory=set)

    def update(self, losses: Losses) -> list[Alarm]:
        """Add a step's losses; the new alarms. Raises Divergence for a loss that is not finite."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise Divergence(
                    f"{name} is no longer a finite number. Lower the learning rates or raise "
                    "gamma; the last snapshot is kept."
                )
            before = self.averages.get(name, value)
            self.averages[name] = before + (value - before) / min(MEMORY, self.steps + 1)
        self.steps += 1
        if self.steps < GRACE_STEPS:
            return []
        return [alarm for is_active, alarm in self._alarms() if self._is_new(is_active, alarm)]

    def reset(self) -> None:
        """Start over, as after a rollback."""
        self.averages.clear()
        self.active.clear()
        self.steps = 0

    def _alarms(self) -> list[tuple[bool, Alarm]]:
        d_loss, accuracy = self.averages["d_loss"], self.averages["d_accuracy"]
        diversity, g_loss = self.averages["diversity"], self.averages["g_loss"]
        is_won = LOSSES[self.loss].is_won(d_loss, g_loss)
        winning = (
            f"The discriminator is winning: its loss is {d_loss:.3f}, the generator's "
            f"{g_loss:.1f}. The generator learns little from now on. Raise "
            "gamma, lower the discriminator's learning rate, or use a relativistic preset."
        )
        collapsing = (
            f"The samples have collapsed to nearly one face: they differ by {diversity:.3f}, "
            f"real images by {self.real_diversity:.3f}. Resume from an older snapshot with a "
            "higher gamma or a lower learning rate."
        )
        diverging = (
            f"The losses run away: the discriminator's is {d_loss:.3g}, the generator's "
            f"{g_loss:.3g}. Lower the learning rates."
        )
        return [
            (max(d_loss, g_loss) > RUNAWAY, Alarm("diverging", diverging)),
            (accuracy > 0.95 and is_won, Alarm("discriminator_winning", winning)),
            (diversity < COLLAPSE_SHARE * self.real_diversity, Alarm("collapse", collapsing)),
        ]

    def _is_new(self, is_active: bool, alarm: Alarm) -> bool:
        if not is_active:
            self.active.discard(alarm.name)
            return False
        is_new = alarm.name not in self.active
        self.active.add(alarm.name)
        return is_new
