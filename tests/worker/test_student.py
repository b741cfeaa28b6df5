"""A copy of a generator learns to draw given pictures for given latents."""

import copy
import math

import pytest
import torch

from models.networks.modern import Generator
from worker import student
from worker.student import Plan, StudentTraining, TargetBatch

LATENT = 8
PLAN = Plan(steps=60, start=7, mapping=False)


def target_batch(step: int) -> TargetBatch:
    """Four latents, two of them mixed from the second layer on; the left side is brighter."""
    random = torch.Generator().manual_seed(step)
    z, other = torch.randn(2, 4, LATENT, generator=random)
    pictures = torch.linspace(0.5, -0.5, 16).expand(4, 3, 16, 16)
    return TargetBatch({"z": z, "other": other, "cut": torch.tensor([1, 3, 1, 3])}, pictures)


@pytest.fixture
def generator() -> Generator:
    """Small, with random weights."""
    torch.manual_seed(0)
    return Generator(16, LATENT, 8, 4).eval()


@pytest.mark.parametrize(
    ("mapping", "parts"), [(False, {"synthesis"}), (True, {"synthesis", "mapping"})]
)
def test_the_student_comes_nearer_to_the_pictures_and_only_what_the_plan_says_learns(
    generator: Generator, mapping: bool, parts: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "LEARNING_RATE", 0.02)  # sixty steps from random weights
    before = copy.deepcopy(generator.state_dict())
    training = StudentTraining(generator, target_batch, Plan(steps=60, start=7, mapping=mapping))
    while not training.is_finished:
        training.advance()
    after, at_first = training.measure()
    assert after < 0.5 * at_first
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), "the generator itself stays as it was"
    learnt = {
        name
        for name, value in training.student.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert {name.split(".")[0] for name in learnt} == parts
    assert not any("running" in name or "average" in name for name in learnt)


def test_the_difference_is_the_mean_of_target_batchs_after_the_last_step(
    generator: Generator,
) -> None:
    expected = []
    for step in range(7 + 60, 7 + 64):
        pictures = generator(**target_batch(step).latents).detach()
        expected.append((pictures - target_batch(step).pictures).abs().mean() * 127.5)
    after, before = StudentTraining(generator, target_batch, PLAN).measure()
    assert after == before == pytest.approx(float(torch.stack(expected).mean()), rel=1e-4)


@pytest.mark.parametrize("count", [2, 3])
def test_a_small_batch_has_one_blend(generator: Generator, count: int) -> None:
    """The mean over no pictures was not a number."""

    def small(step: int) -> TargetBatch:
        whole = target_batch(step)
        rows = {name: values[:count] for name, values in whole.latents.items()}
        return TargetBatch(rows, whole.pictures[:count])

    training = StudentTraining(generator, small, Plan(steps=2, start=0, mapping=True))
    assert math.isfinite(training.advance())


def large_batch(step: int) -> TargetBatch:
    """Sixteen latents and pictures."""
    parts = [target_batch(4 * step + number) for number in range(4)]
    rows = {name: torch.cat([part.latents[name] for part in parts]) for name in parts[0].latents}
    return TargetBatch(rows, torch.cat([part.pictures for part in parts]))


def test_gradients_of_micro_batches_are_those_of_the_batch(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(steps=60, start=7, mapping=True)
    whole = StudentTraining(generator, large_batch, plan)
    parts = StudentTraining(generator, large_batch, plan, accumulation=4)
    assert parts.advance() == pytest.approx(whole.advance())
    for one, two in zip(whole.student.parameters(), parts.student.parameters(), strict=True):
        assert one.grad is not None
        torch.testing.assert_close(one.grad, two.grad)
    expected, counts, draw = whole.measure(), [], StudentTraining._draw

    def count_and_draw(
        self: StudentTraining, network: Generator, part: TargetBatch
    ) -> torch.Tensor:
        counts.append(len(part.pictures))
        return draw(self, network, part)

    monkeypatch.setattr(StudentTraining, "_draw", count_and_draw)
    assert parts.measure() == pytest.approx(expected, rel=1e-3)
    parts.advance()
    assert set(counts) == {4}, "no more of them are in memory at once"


def test_a_restored_one_goes_on_to_the_same_weights(generator: Generator) -> None:
    first, other = (StudentTraining(generator, target_batch, PLAN) for _ in range(2))
    for _ in range(3):
        first.advance()
    other.restore(copy.deepcopy(first.state()))
    for each in (first, other):
        each.advance()
    assert other.step == 4
    for one, two in zip(first.student.parameters(), other.student.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(steps=61, start=7, mapping=False),
        Plan(steps=60, start=8, mapping=False),
        Plan(steps=60, start=7, mapping=True),
    ],
)
def test_a_state_of_another_plan_is_ignored(generator: Generator, plan: Plan) -> None:
    first = StudentTraining(generator, target_batch, PLAN)
    first.advance()
    other = StudentTraining(generator, target_batch, plan)
    other.restore(first.state())
    assert other.step == 0


def _between(network: Generator) -> torch.Tensor:
    """Pictures halfway between two styles of a step that nothing is trained on."""
    with torch.no_grad():
        styles = network.styles(target_batch(1000).latents["z"])
        pictures: torch.Tensor = network.synthesis(styles[:2].lerp(styles[2:], 0.5))
    return pictures


def test_where_the_mapping_learns_pictures_between_two_faces_stay_near_those_before(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(student, "LEARNING_RATE", 0.02)
    distances = []
    for blends in (0.5, 0.0):  # the second learns nothing of its blend
        monkeypatch.setattr(student, "BLENDS", blends)
        training = StudentTraining(generator, target_batch, Plan(steps=60, start=7, mapping=True))
        while not training.is_finished:
            training.advance()
        distances.append(float((_between(training.student) - _between(generator)).abs().mean()))
    assert distances[0] < 0.97 * distances[1]
