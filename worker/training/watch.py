"""Says in plain words when a run is failing the way GANs fail."""

import math
from dataclasses import dataclass, field

from worker.training.trainer import Losses

MEMORY = 100  # steps over which quantities are averaged
PATIENCE = 150  # steps before the first word: every run starts lopsided
# A discriminator loss this far under its value at equilibrium (2 ln 2 for BCE, ln 2 for the
# relativistic loss) teaches the generator nothing; the tutorial's ran at 0.01 to 0.1.
WINNING = {"bce": 0.15, "relativistic": 0.03}
# A generator whose samples differ this little, against how much real images differ.
COLLAPSED = 0.15


class Diverged(Exception):
    """A loss that is no number; nothing later can mend it."""


@dataclass
class Watch:
    """Averages what each step measured. real_diversity: mean deviation of pixels in real data."""

    loss: str
    real_diversity: float
    averages: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    told: set[str] = field(default_factory=set)

    def see(self, losses: Losses) -> list[tuple[str, str]]:
        """New warnings as (name, sentence); each is told once until it has passed.

        Raises Diverged, naming the loss.
        """
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
        return [
            (name, text) for name, wrong, text in self._findings() if self._is_news(name, wrong)
        ]

    def _findings(self) -> list[tuple[str, bool, str]]:
        d_loss, accuracy = self.averages["d_loss"], self.averages["d_accuracy"]
        diversity = self.averages["diversity"]
        return [
            (
                "discriminator_winning",
                d_loss < WINNING[self.loss] and accuracy > 0.95,
                f"The discriminator is winning: its loss is {d_loss:.3f}, the generator's "
                f"{self.averages['g_loss']:.1f}. The generator learns little from now on. Raise "
                "gamma, lower the discriminator's learning rate, or use a relativistic preset.",
            ),
            (
                "collapse",
                diversity < COLLAPSED * self.real_diversity,
                f"The samples have collapsed to nearly one face: they differ by {diversity:.3f}, "
                f"real images by {self.real_diversity:.3f}. Resume from an older snapshot with a "
                "higher gamma or a lower learning rate.",
            ),
        ]

    def _is_news(self, name: str, wrong: bool) -> bool:
        if not wrong:
            self.told.discard(name)
            return False
        news = name not in self.told
        self.told.add(name)
        return news
