"""An attempt from pictures to a published model: what it extends, keeps, and mends."""

import math
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from models import bundle, runs
from models.bundle import verify
from models.errors import DatasetError
from tests.worker.training.types import Attempts, EventsOf
from worker.evaluation.in_training import TrainingMeasurement
from worker.publishing.weight_grid import on_grid
from worker.training import snapshots
from worker.training.divergence import Divergence
from worker.training.loss_log import Losses
from worker.training.run import Attempt, HandedBack
from worker.training.trainer import Trainer


def card(attempt: Attempt, version: str) -> dict[str, Any]:
    return bundle.read_card(attempt.registry.folder(version))


def weights(attempt: Attempt, version: str) -> dict[str, Tensor]:
    return load_file(attempt.registry.folder(version) / bundle.WEIGHTS)


def claim_again(run: Attempt) -> Attempt:
    """Another attempt at a run that is queued again."""
    claim = runs.claim(run.engine, run.run)
    assert claim is not None
    return Attempt(run.settings, run.engine, *claim)


def test_a_finished_run_is_extended_by_a_child(
    attempt: Attempts, pictures: Path, engine: sa.Engine
) -> None:
    parent = attempt(pictures)
    first = parent.execute()
    child = attempt(pictures, start_from=parent.run, images=80)
    second = child.execute()
    assert card(child, second)["training"]["images"] == 160 + 80
    assert first != second
    assert runs.get(engine, parent.run)["version"] == first


def test_a_child_begins_with_its_parents_weights(attempt: Attempts, pictures: Path) -> None:
    parent = attempt(pictures)
    version = parent.execute()
    child = attempt(pictures, start_from=parent.run, images=80)
    child._prepare()
    for name, value in weights(parent, version).items():
        # Published on a grid; the snapshot keeps the trained numbers.
        assert torch.equal(on_grid(child.trainer.average).state_dict()[name], value), name
    # Its optimisers go on too, so that the first steps are no jolt.
    assert child.trainer.optimizers["generator"].state_dict()["state"]
    child.reporter.close()


def test_a_published_model_is_fine_tuned_on_other_pictures(
    attempt: Attempts, pictures: Path, tmp_path: Path
) -> None:
    version = attempt(pictures).execute()
    other = tmp_path / "other"
    other.mkdir()
    for number in range(20):
        Image.new("RGB", (30, 30), (number * 9, 80, 200)).save(other / f"{number}.png")
    child = attempt(other, start_from=version, images=80)
    model_card = card(child, child.execute())
    assert model_card["dataset"]["name"] == "other"
    assert model_card["training"]["images"] == 160 + 80


def test_fine_tuning_begins_beside_the_discriminator_that_the_model_was_trained_with(
    attempt: Attempts, pictures: Path
) -> None:
    parent = attempt(pictures)
    version = parent.execute()
    child = attempt(pictures, start_from=version, images=80, seed=7)
    child._prepare()
    theirs = parent.trainer.discriminator.state_dict()
    for name, value in child.trainer.discriminator.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    child.reporter.close()


def test_the_error_for_a_missing_source_names_it(attempt: Attempts, pictures: Path) -> None:
    child = attempt(pictures, start_from="0123456789abcdef")
    with pytest.raises(Exception, match="There is no model '0123456789abcdef'"):
        child.execute()


def plant_loss(monkeypatch: pytest.MonkeyPatch, at: int, value: float = math.nan) -> None:
    """Make a loss no number at that step, once."""
    train = Trainer.train
    left = [at]

    def train_with_the_loss(self: Trainer, fraction: float = 0.0) -> list[Losses]:
        steps = train(self, fraction)
        if left and self.step == left[0]:
            left.pop()
            steps[-1]["g_loss"] = value
        return steps

    monkeypatch.setattr(Trainer, "train", train_with_the_loss)


def test_a_run_that_diverges_rolls_back_and_ends_well(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch, events_of: EventsOf
) -> None:
    plant_loss(monkeypatch, at=15)
    run = attempt(pictures, on_divergence="rollback")
    # A snapshot a step: the recipe's least, a tenth of a second, may be longer than the run.
    run.recipe = run.recipe.model_copy(update={"snapshot_seconds": 0.0})
    saved: dict[int, list[float]] = {}
    write = snapshots.write

    def record(folder: Path, step: int, state: dict[str, Any]) -> str:
        saved.setdefault(step, []).append(state["trainer"]["slowed"])
        return write(folder, step, state)

    monkeypatch.setattr(snapshots, "write", record)
    version = run.execute()
    (event,) = events_of(run, "run.rolled_back")
    # In the place of the one that it went back to, so that a crash loses nothing.
    assert [1.0, 0.5] in saved.values()
    assert "g_loss is no longer a finite number" in event["message"]
    assert run.trainer.rate_factor == 0.5
    assert event["message"] in card(run, version)["training"]["warnings"]


def test_a_run_that_diverges_stops_where_its_recipe_says_so(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_loss(monkeypatch, at=15)
    with pytest.raises(Divergence, match="g_loss"):
        attempt(pictures, on_divergence="stop").execute()


def test_a_run_without_a_snapshot_cannot_roll_back(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_loss(monkeypatch, at=2)
    with pytest.raises(Divergence):
        attempt(pictures, on_divergence="rollback", snapshot_seconds=60).execute()


def script_distances(
    monkeypatch: pytest.MonkeyPatch, distances: Iterable[float], error: float = 0.0
) -> None:
    """Let the run's measurements say this, one after the other."""
    left = iter(distances)

    def measure(self: TrainingMeasurement, generator: nn.Module, latent: int) -> dict[str, float]:
        measures = {"kid": 0.1, "precision": 0.0, "coverage": 0.0}
        return {"fd": next(left), "fd_error": error, **measures}

    monkeypatch.setattr(TrainingMeasurement, "measure", measure)


def stop_at(monkeypatch: pytest.MonkeyPatch, run: Attempt, step: int) -> None:
    """Let a run go until a worker that stops hands it back."""
    train = Trainer.train

    def stop(self: Trainer, fraction: float = 0.0) -> list[Losses]:
        if self.step == step:
            run.signal = signal.SIGTERM
        return train(self, fraction)

    monkeypatch.setattr(Trainer, "train", stop)
    with pytest.raises(HandedBack):
        run.execute()
    monkeypatch.setattr(Trainer, "train", train)


def test_the_best_snapshot_is_published_not_the_last(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch, events_of: EventsOf
) -> None:
    script_distances(monkeypatch, [90.0, 40.0, 70.0, math.nan])
    run = attempt(pictures, publish="best", measure_every=40)
    version = run.execute()
    assert card(run, version)["measures"]["fd"] == 40
    assert card(run, version)["training"]["images"] == 80
    assert [event["images"] for event in events_of(run, "run.measured")] == [40, 80, 120, 160]
    last = run.trainer.average.state_dict()
    assert any(not torch.equal(last[name], v) for name, v in weights(run, version).items())


def test_the_last_snapshot_is_published_where_the_recipe_says_so(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_distances(monkeypatch, [90.0, 40.0, 70.0, 60.0])
    run = attempt(pictures, publish="last", measure_every=40)
    model_card = card(run, run.execute())
    assert model_card["training"]["images"] == 160
    assert model_card["measures"]["fd"] == 60, "its own, not that of a better one before"


def test_a_run_that_now_publishes_its_last_snapshot_forgets_its_best(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch, engine: sa.Engine
) -> None:
    script_distances(monkeypatch, [40.0, 70.0, 60.0, 50.0])
    run = attempt(pictures, publish="best", measure_every=40)
    stop_at(monkeypatch, run, 13)  # 8 images a step: after the first two measurements
    runs.finish(engine, run.run, run.fence, "cancel")
    runs.resume(engine, run.run, run.recipe.model_copy(update={"publish": "last"}))
    again = claim_again(run)
    model_card = card(again, again.execute())
    assert model_card["training"]["images"] == 160
    assert model_card["measures"]["fd"] == 50


def test_a_manual_run_leaves_latest_alone(attempt: Attempts, pictures: Path) -> None:
    first = attempt(pictures)
    version = first.execute()
    second = attempt(pictures, publish="manual", seed=1)
    other = second.execute()
    assert second.registry.aliases()["latest"] == version
    assert second.registry.resolve(other) == other


def test_within_noise_of_the_lowest_the_longest_trained_is_published(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """41 ± 3 is no worse than 40 ± 3; 70 is; 45 is within noise of 41, yet not of 36."""
    script_distances(monkeypatch, [40.0, 41.0, 36.0, 45.0], error=3.0)
    run = attempt(pictures, publish="best", measure_every=40)
    model_card = card(run, run.execute())
    assert (model_card["measures"]["fd"], model_card["training"]["images"]) == (36.0, 120)
    script_distances(monkeypatch, [40.0, 41.0, 70.0, 80.0], error=3.0)
    other = attempt(pictures, publish="best", measure_every=40, seed=1)
    model_card = card(other, other.execute())
    assert (model_card["measures"]["fd"], model_card["training"]["images"]) == (41.0, 80)


def test_a_card_has_the_measures_at_the_served_size(
    attempt: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set with pictures of 256 px is measured there, one of smaller pictures as it is drawn."""
    for side, size in ((24, 16), (256, 256)):
        folder = tmp_path / f"faces-{side}"
        folder.mkdir()
        for number in range(24):
            pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
        run = attempt(folder, measure_every=160, measure_samples=20, images=160)
        measures = card(run, run.execute())["measures"]
        assert measures["served_size"] == size
        assert measures["served_samples"] == 20
        assert measures["served_fd"] > 0 < measures["served_fd_error"]


def banner(number: int) -> Image.Image:
    return Image.new("RGB", (4000, 100), (number % 256, 90, 40))


def grey(number: int) -> Image.Image:
    return Image.new("L", (40, 40), number % 256)


def transparent(number: int) -> Image.Image:
    return Image.new("RGBA", (40, 40), (number % 256, 10, 200, 90))


def one_colour(_number: int) -> Image.Image:
    return Image.new("RGB", (40, 40), (10, 20, 30))


@pytest.mark.parametrize(
    ("picture", "count"),
    [
        pytest.param(transparent, 200, id="two-hundred-transparent"),
        pytest.param(transparent, 3, id="three"),
        pytest.param(one_colour, 10, id="one-repeated"),
        pytest.param(banner, 10, id="banners"),
        pytest.param(grey, 20, id="grey"),
    ],
)
def test_a_strange_set_trains(
    attempt: Attempts, tmp_path: Path, picture: Callable[[int], Image.Image], count: int
) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    for number in range(count):
        picture(number).save(folder / f"{number}.png")
    run = attempt(folder, measure_every=80, measure_samples=20)
    model_card = card(run, run.execute())
    assert model_card["dataset"]["images"] == min(count, 64)
    assert math.isfinite(model_card["measures"]["fd"])


def test_a_single_picture_is_refused_with_the_reason(attempt: Attempts, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    one_colour(0).save(folder / "only.png")
    with pytest.raises(DatasetError, match="at least 2"):
        attempt(folder).execute()


def test_early_moments_are_published_with_what_they_led_to(
    attempt: Attempts, pictures: Path
) -> None:
    run = attempt(pictures, images=640, growth=2)
    version = run.execute()
    # A sixty-fourth and a sixteenth of 640 images, in steps of 8.
    assert card(run, version)["moments"] == [16, 40, 640]
    drawer = verify.verify(run.registry.folder(version), version)
    z = np.full((1, run.recipe.latent), 0.5, np.float32)
    ages = [drawer.grow(z, 1.0, age) for age in (0.0, 0.5, 1.0)]
    assert np.abs(ages[0].astype(int) - ages[2]).mean() > 1
    assert np.abs(ages[2].astype(int) - drawer.draw(z, 1.0)).max() <= 1


def test_a_worker_that_stops_during_the_last_measurement_hands_the_run_back(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch, engine: sa.Engine
) -> None:
    run = attempt(pictures, measure_every=160)

    def measure(self: TrainingMeasurement, generator: nn.Module, latent: int) -> dict[str, float]:
        run.signal = signal.SIGTERM
        return {"fd": 1.0, "fd_error": 0.1, "kid": 0.1, "precision": 0.5, "coverage": 0.5}

    monkeypatch.setattr(TrainingMeasurement, "measure", measure)
    with pytest.raises(HandedBack):
        run.execute()
    runs.requeue(engine, run.run, run.fence, "worker stopping")
    again = claim_again(run)
    assert card(again, again.execute())["training"]["images"] == 160


def test_moments_outlive_a_stop(
    attempt: Attempts, pictures: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attempt(pictures, images=640, growth=2)
    expected = [moment.weights for moment in (whole.execute(), whole.progress.moments)[1]]
    run = attempt(pictures, images=640, growth=2)
    stop_at(monkeypatch, run, 30)
    runs.requeue(engine, run.run, run.fence, "worker stopping")
    again = claim_again(run)
    version = again.execute()
    assert card(again, version)["moments"] == [16, 40, 640]
    for moment, before in zip(again.progress.moments, expected, strict=True):
        assert all(torch.equal(moment.weights[name], value) for name, value in before.items())


def test_a_card_has_the_curve_of_its_run(
    attempt: Attempts, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script_distances(monkeypatch, [300.0, 200.0, 250.0, 240.0, 230.0])
    run = attempt(pictures, images=160, measure_every=40, measure_samples=20, publish="best")
    model_card = card(run, run.execute())
    assert model_card["curve"] == [[40, 300.0], [80, 200.0], [120, 250.0], [160, 240.0]]
    assert model_card["measures"]["fd"] == 200.0
