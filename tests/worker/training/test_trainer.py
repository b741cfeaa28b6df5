"""The same recipe gives the same weights, stopped or not."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.networks import build, modern
from models.recipes.recipe import resolve
from models.storage.blob_store import Blobs
from worker.cosine import cosine
from worker.training import losses, snapshots
from worker.training.batches import Reals, to_images
from worker.training.loss_log import Losses
from worker.training.schedules import augmentation, ema_decay
from worker.training.trainer import Trainer

CPU = torch.device("cpu")


def trainer(**overrides: Any) -> Trainer:
    recipe = resolve({"preset": "smoke", **overrides})
    size = (48, recipe.resolution, recipe.resolution, 3)
    data = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    return Trainer(recipe, Reals(data, recipe, CPU), CPU, bf16=False)


def weights(trainer: Trainer) -> list[Tensor]:
    networks = (trainer.generator, trainer.discriminator, trainer.average)
    return [value.clone() for network in networks for value in network.state_dict().values()]


def are_equal(one: Trainer, other: Trainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def run(trainer: Trainer, steps: int) -> Losses:
    for _ in range(steps):
        step_losses = trainer.advance()
    return step_losses


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, two, other = trainer(), trainer(), trainer(seed=1)
    for each in (one, two, other):
        run(each, 12)
    assert are_equal(one, two)
    assert not are_equal(one, other)


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, stop: int) -> None:
    whole, first, second = trainer(), trainer(), trainer()
    run(whole, 12)
    run(first, stop)
    name = snapshots.write(tmp_path, first.step, first.state())
    second.restore(snapshots.read(tmp_path, name))
    run(second, 12 - stop)
    assert second.step == whole.step
    assert are_equal(second, whole)


def test_the_last_two_snapshots_are_kept(tmp_path: Path) -> None:
    names = [snapshots.write(tmp_path, step, {"step": step}) for step in range(5)]
    snapshots.prune(Blobs(tmp_path), tmp_path, names[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == names[-2:]


def test_every_image_is_seen_once_an_epoch() -> None:
    one = trainer()
    sums = []
    for step in range(one.reals.steps_per_epoch):
        sums += [image.sum().item() for image in one.reals.batch(step)]
    assert len(set(sums)) == 48


def test_classic_runs_with_the_tutorials_loss() -> None:
    recipe = resolve({"preset": "classic", "batch": 4, "epochs": 1})
    data = np.random.default_rng(0).integers(0, 256, (8, 96, 96, 3), dtype=np.uint8)
    one = Trainer(recipe, Reals(data, recipe, CPU), CPU, bf16=False)
    step_losses = one.advance()
    assert 0 < step_losses["d_real"] < 1
    # BCE at the start is near 2 ln 2 for the pair of labels.
    assert 0.5 < step_losses["d_loss"] < 4
    # Without an average, what is published is the generator itself.
    for mine, theirs in zip(
        one.average.state_dict().values(), one.generator.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_the_penalty_is_the_squared_slope() -> None:
    """Against a discriminator whose gradient is known: D(x) = a·x, so ‖∇D‖² = ‖a‖²."""
    a = torch.randn(3 * 4 * 4, dtype=torch.float64, requires_grad=True)
    penalty = losses.gradient_penalty(
        lambda x: x.flatten(1) @ a, torch.randn(5, 3, 4, 4, dtype=torch.float64)
    )
    assert torch.isclose(penalty, a.square().sum())
    penalty.backward()
    assert a.grad is not None
    assert torch.allclose(a.grad, 2 * a)


def test_the_penaltys_gradient_reaches_the_weights_as_finite_differences_say() -> None:
    recipe = resolve({"preset": "smoke"})
    network = build.discriminator(recipe).double()
    assert isinstance(network, modern.Discriminator)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    losses.gradient_penalty(network, images).backward()
    weight = network.stem.get_parameter("1.weight")
    assert weight.grad is not None
    slope, step = weight.grad[0, 0, 1, 1].item(), 1e-5
    with torch.no_grad():
        weight[0, 0, 1, 1] += step
    above = losses.gradient_penalty(network, images).item()
    with torch.no_grad():
        weight[0, 0, 1, 1] -= 2 * step
    below = losses.gradient_penalty(network, images).item()
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-3, abs=1e-9)


def test_the_average_halves_an_old_weight_in_a_half_life() -> None:
    late = ema_decay(batch=10, images=10**9, half_life=1000)
    assert late**100 == pytest.approx(0.5)
    assert ema_decay(batch=10, images=10**9, half_life=0) == 0


def test_a_young_average_forgets_the_random_start() -> None:
    young = ema_decay(batch=10, images=1000, half_life=10**6)
    assert young**5 == pytest.approx(0.5)


def test_a_cosine_is_flat_at_both_ends() -> None:
    assert [cosine(4.0, 1.0, f) for f in (0, 0.5, 1, 2)] == pytest.approx([4, 2.5, 1, 1])


@pytest.mark.parametrize(
    ("count", "passes", "expected"),
    [
        pytest.param(200_000, 100, 0.0, id="ample-never"),
        pytest.param(20_000, 100, 0.348, id="twenty-thousand"),
        pytest.param(1_000, 100, 0.8, id="few-capped"),
        pytest.param(1_000, 5, 0.0, id="unseen-not-yet"),
    ],
)
def test_augmentation_is_for_small_sets_seen_often(
    count: int, passes: int, expected: float
) -> None:
    assert augmentation(count, passes * count, None) == pytest.approx(expected, abs=1e-3)


def test_augmentation_does_not_hide_a_collapse() -> None:
    """One face, changed in 8 ways, is one face."""
    one = trainer(augment=1.0)
    one.begin(10**6, 10**6)
    assert isinstance(one.generator, modern.Generator)
    with torch.no_grad():
        for block in one.generator.synthesis.blocks:
            assert isinstance(block, modern.Block)
            block.affine.weight.zero_()
        one.generator.synthesis.start.weight.zero_()
    assert one.advance()["diversity"] == 0


def test_a_finetuned_run_has_not_seen_its_set_yet() -> None:
    one = trainer(augment=1.0)
    one.begin(624_416, parent="some model")
    assert "real.shift" not in one.step_inputs(), "no augmentation yet"
    one.begin(624_416, images_of_set=624_416)
    assert "real.shift" in one.step_inputs()


def test_a_child_repeats_neither_the_latents_nor_the_order_of_its_parent() -> None:
    parent, child = trainer(), trainer()
    child.begin(0, parent="the parent")
    assert not torch.equal(parent.step_inputs()["z"], child.step_inputs()["z"])
    assert not torch.equal(parent.reals.batch(0), child.reals.batch(0))


def test_a_resumed_child_goes_on_with_its_own_draws(tmp_path: Path) -> None:
    child, resumed_trainer = trainer(), trainer()
    child.begin(0, parent="the parent")
    name = snapshots.write(tmp_path, child.step, child.state())
    resumed_trainer.restore(snapshots.read(tmp_path, name))
    assert torch.equal(child.step_inputs()["z"], resumed_trainer.step_inputs()["z"])
    assert torch.equal(child.reals.batch(3), resumed_trainer.reals.batch(3))


def test_real_and_drawn_images_are_seen_through_noise_of_the_same_strength() -> None:
    one = trainer(noise=10.0)
    inputs, program = one.step_inputs(), one.step_program
    views = program.views(inputs)
    real = views.real.images - to_images(inputs["pixels"])
    fake = views.fake.images - views.faces
    for sums in (real, fake):
        assert sums.std().item() * 127.5 == pytest.approx(10, rel=0.05)
    assert not torch.equal(real, fake)


def test_a_trained_discriminator_is_taken_over() -> None:
    parent, child = trainer(seed=1), trainer()
    run(parent, 3)
    assert child.take_discriminator(parent.discriminator.state_dict(), {}) > 0
    mine, theirs = child.discriminator.state_dict(), parent.discriminator.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_discriminator_of_another_width_is_not_taken_in_part() -> None:
    parent, child = trainer(discriminator_width=4), trainer()
    before = {name: value.clone() for name, value in child.discriminator.state_dict().items()}
    assert child.take_discriminator(parent.discriminator.state_dict(), {}) == 0
    after = child.discriminator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_resumed_run_has_the_betas_of_its_recipe() -> None:
    before, after = trainer(), trainer(generator={"beta1": 0.5})
    run(before, 1)
    after.restore(before.state())
    assert after.optimizers["generator"].param_groups[0]["betas"][0] == 0.5


def test_a_child_trains_at_the_rates_of_its_recipe() -> None:
    parent, child = trainer(), trainer()
    parent.rate_factor = 0.25  # after two rollbacks
    child.restore(parent.state())
    child.begin(child.images, 0, "parent")
    assert child.rate_factor == 1


def test_the_order_of_a_pass_is_not_that_of_another_which_a_thread_reads_ahead() -> None:
    recipe = resolve({"preset": "smoke"})
    size = (48, recipe.resolution, recipe.resolution, 3)
    reals = Reals(np.zeros(size, np.uint8), recipe, CPU)
    expected = {epoch: reals._order(epoch).clone() for epoch in (0, 1)}

    def read(epoch: int) -> bool:
        return all(torch.equal(reals._order(epoch), expected[epoch]) for _ in range(2_000))

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(read, (0, 1)))
