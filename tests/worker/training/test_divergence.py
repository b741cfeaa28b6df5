"""The watch names the illnesses, and is silent about health."""

import pytest

from models.recipes.adversarial_losses import LossName
from worker.training.divergence import Divergence, Watch
from worker.training.loss_log import Losses

HEALTHY = {"d_loss": 0.5, "d_accuracy": 0.8, "g_loss": 1.0, "diversity": 0.3}


def watch_after(losses: Losses, loss: LossName = "relativistic", steps: int = 400) -> list[str]:
    watch = Watch(loss, real_diversity=0.4)
    return [alarm.name for _ in range(steps) for alarm in watch.update(losses)]


def test_a_healthy_run_raises_no_alarm() -> None:
    assert watch_after(HEALTHY) == []


def test_a_winning_discriminator_is_named_once() -> None:
    ill = {**HEALTHY, "d_loss": 0.05, "d_accuracy": 1.0, "g_loss": 8.0}
    assert watch_after(ill, "bce") == ["discriminator_winning"]


def test_a_collapse_is_named_once() -> None:
    assert watch_after({**HEALTHY, "diversity": 0.01}) == ["collapse"]


def test_an_alarm_that_has_passed_is_raised_again() -> None:
    watch = Watch("relativistic", real_diversity=0.4)
    names = []
    for phase in (0.01, 0.4, 0.01):
        for _ in range(600):
            names += [alarm.name for alarm in watch.update({**HEALTHY, "diversity": phase})]
    assert names == ["collapse", "collapse"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(value: float) -> None:
    with pytest.raises(Divergence, match="g_loss"):
        Watch("bce", 0.4).update({**HEALTHY, "g_loss": value})
