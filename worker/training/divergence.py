"""Says in plain words when a run is failing the way GANs fail."""

import math
from dataclasses import dataclass, field

from worker.training.losses import LOSSES
from worker.training.trainer import Losses

MEMORY = 50  # steps over which quantities are averaged
PATIENCE = 100  # steps before the first word: every run starts lopsided
# No loss of a run that learns comes near: BCE's own bound is 100 (PyTorch clamps its logarithms).
RUNAWAY = 1000.0
# A generator whose samples differ this little, against how much real images differ.
COLLAPSED = 0.15


class Diverged(Exception):
    """A loss that is no number; nothing later can mend it."""


@dataclass(frozen=True)
class Alarm:
    """One illness, told once until it has passed."""

    name: str
    message: str


@dataclass
class Watch:
    """Averages what each step measured. real_diversity: mean deviation of pixels in real data."""

    loss: str
    real_diversity: float
    averages: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    told: set[str] = field(default_factory=set)

    def see(self, losses: Losses) -> list[Alarm]:
        """What is newly wrong. Raises Diverged, naming the loss that is no number."""
        for name, value in losses.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"{name} is no longer a finite number. Lower the learning rates or raise "
                    "gamma; the last snapshot is kept."
                )
            before = self.averages.get(name, value)
            self.averages[name] = before + (value - before) / min(MEMORY, self.steps + 1)
        self.steps += 1
        if self.steps < PATIENCE:
            return []
        return [warning for wrong, warning in self._findings() if self._is_news(wrong, warning)]

    def forget(self) -> None:
        """Begin anew, as after a rollback."""
        self.averages.clear()
        self.told.clear()
        self.steps = 0

    def _findings(self) -> list[tuple[bool, Alarm]]:
        d_loss, accuracy = self.averages["d_loss"], self.averages["d_accuracy"]
        diversity, g_loss = self.averages["diversity"], self.averages["g_loss"]
        is_won = LOSSES[self.loss].is_won(d_loss, g_loss)
        winning = (
            f"The discriminator is winning: its loss is {d_loss:.3f}, the generator's "
            f"{g_loss:.1f}. The generator learns little from now on. Raise "
            "gamma, lower the discriminator's learning rate, or use a relativistic preset."
        )
        collapsed = (
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
            (diversity < COLLAPSED * self.real_diversity, Alarm("collapse", collapsed)),
        ]

    def _is_news(self, wrong: bool, warning: Alarm) -> bool:
        if not wrong:
            self.told.discard(warning.name)
            return False
        news = warning.name not in self.told
        self.told.add(warning.name)
        return news
