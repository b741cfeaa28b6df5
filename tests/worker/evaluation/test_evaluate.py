"""One model against one set: at two sizes, held-out pictures, and the second metric."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.bundle import format as bundle
from models.bundle.generator import Drawer
from worker.datasets.packing import PackedDataset, pack
from worker.evaluation import classifier, comparison, evaluate, own_features
from worker.evaluation.comparison import RealSide
from worker.evaluation.served_size import is_lower

pytestmark = pytest.mark.slow

SIDE, LARGE, COUNT = 32, 64, 90
Pixels = NDArray[np.uint8]


def face(number: int) -> Image.Image:
    random = np.random.default_rng(number)
    image = Image.new("RGB", (LARGE, LARGE), tuple(random.integers(150, 256, 3).tolist()))
    left, top = random.integers(4, LARGE // 3, 2).tolist()
    colour = tuple(random.integers(0, 200, 3).tolist())
    ImageDraw.Draw(image).ellipse((left, top, left + 30, top + 30), fill=colour)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for number in range(COUNT):
        face(number).save(folder / f"{number:03}.png")
    return folder


class Repeater:
    """Serves pictures of its own instead of drawing: at SIDE reduced, above as they are."""

    def __init__(self, card: bundle.Card) -> None:
        self.card = card

    def draw(self, z: NDArray[np.float32], psi: float) -> Pixels:
        return np.stack([self._face(row, SIDE) for row in z])

    def draw_at(self, z: NDArray[np.float32], psi: float, size: int) -> Pixels:
        return np.stack([self._face(row, size) for row in z])

    def _face(self, row: NDArray[np.float32], size: int) -> Pixels:
        image = face(10_000 + int(np.abs(row).sum() * 1e4))
        return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


@pytest.fixture
def repeater(write_bundle, folder: Path) -> Drawer:  # type: ignore[no-untyped-def]
    card = bundle.Card.model_validate(bundle.read_card(write_bundle()))
    network = card.network.model_copy(update={"resolution": SIDE})
    return Repeater(card.model_copy(update={"network": network}))  # type: ignore[return-value]


def test_both_sizes_are_measured_and_the_larger_one_comes_from_the_set(
    repeater: Drawer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_features, "STEPS", 2)
    native, served_set = pack(folder, SIDE, tmp_path), pack(folder, LARGE, tmp_path)
    evaluation, pairs = evaluate.evaluate(repeater, native, 40, tmp_path, 1, served_set=served_set)
    assert (evaluation.served.size, evaluation.native.size) == (LARGE, SIDE)
    assert evaluation.served.samples == evaluation.native.samples == 40
    assert evaluation.held_out is None, "this model's run held nothing out"
    assert pairs.shape[2] == 3
    for side in (evaluation.served, evaluation.native):
        assert side.fd < 3 * side.fd_floor, "equal distributions"
        assert side.fd_own < 5 * side.fd_own_floor
        assert side.fd_interval[0] < side.fd < side.fd_interval[1]
    again, _ = evaluate.evaluate(repeater, native, 40, tmp_path, 1)
    assert again.served == again.native
    assert again.native.fd == pytest.approx(evaluation.native.fd)
    assert again.native.fd_own == pytest.approx(evaluation.native.fd_own)


def test_a_model_drawn_coarser_than_its_set_is_worse_at_the_served_size_alone(
    repeater: Drawer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_features, "STEPS", 2)
    sharp = Repeater.draw_at

    def draw_coarse(self: Repeater, z: NDArray[np.float32], psi: float, size: int) -> Pixels:
        if size == SIDE:
            return sharp(self, z, psi, size)
        small = sharp(self, z, psi, SIDE // 2)
        return np.stack([np.asarray(Image.fromarray(one).resize((size, size))) for one in small])

    native, served_set = pack(folder, SIDE, tmp_path), pack(folder, LARGE, tmp_path)
    before, _ = evaluate.evaluate(repeater, native, 40, tmp_path, 1, served_set=served_set)
    monkeypatch.setattr(Repeater, "draw_at", draw_coarse)
    after, _ = evaluate.evaluate(repeater, native, 40, tmp_path, 1, served_set=served_set)
    assert after.native.fd == pytest.approx(before.native.fd)
    assert after.served.fd > 1.5 * before.served.fd


def random_side(training: NDArray[np.float32], held_out: NDArray[np.float32]) -> RealSide:
    places = np.arange(len(training))
    own = training[:, :4]
    return RealSide(16, training, places, held_out, training[:40], own, own)


def test_a_model_that_remembers_its_pictures_is_nearer_to_those_that_it_saw() -> None:
    random = np.random.default_rng(0)
    training, held_out = random.standard_normal((2, 300, 16)).astype(np.float32)
    copies = training + random.normal(0, 0.01, training.shape).astype(np.float32)
    held_out_measures = comparison.compare_held_out(random_side(training, held_out), copies)
    assert held_out_measures is not None
    assert held_out_measures.samples == 300
    assert held_out_measures.fd > 5 * held_out_measures.fd_trained
    assert held_out_measures.coverage <= held_out_measures.coverage_trained
    inventions = random.standard_normal((300, 16)).astype(np.float32)
    fair = comparison.compare_held_out(random_side(training, held_out), inventions)
    assert fair is not None
    assert fair.fd == pytest.approx(fair.fd_trained, rel=0.4)
    assert comparison.compare_held_out(random_side(training, held_out[:0]), inventions) is None


def labelled_set(folder: Path, images: Pixels) -> PackedDataset:
    np.save(folder / "images.npy", images)
    return PackedDataset(folder, "set", "1" * 64, "CC0-1.0", "", len(images), images.shape[1])


@pytest.mark.parametrize("labels", [False, True])
def test_the_own_network_is_trained_once_and_sees_a_blur(
    tmp_path: Path, labels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_features, "STEPS", 120)
    images = np.stack([np.asarray(face(number).resize((32, 32))) for number in range(400)])
    dataset = labelled_set(tmp_path, images)
    if labels:
        codes = (images[:, 16, 16].mean(1) > 100).astype(int).tolist()
        truth = {"attributes": {"light": {"values": ["no", "yes"], "codes": codes}}}
        (tmp_path / "labels.json").write_text(json.dumps(truth))
    reports: list[int] = []
    places = np.arange(400)[::-1][:300].copy()
    first = own_features.prepare(dataset, places, tmp_path, lambda: reports.append(1))
    again = own_features.prepare(dataset, places, tmp_path, lambda: reports.append(2))
    assert reports == [1]
    features = first.extract(images[:100])
    assert features.shape == (100, classifier.HIDDEN)
    np.testing.assert_allclose(again.extract(images[:100]), features, atol=1e-5)
    coarse = np.stack([np.asarray(face(n).resize((8, 8)).resize((32, 32))) for n in range(100)])
    side = random_side(features, features[:0])
    real = replace(side, own=features, own_second=first.extract(images[100:200]))
    sharp = comparison._frechet_own(real.own, real.own_second).distance
    assert comparison._frechet_own(real.own, first.extract(coarse)).distance > 1.5 * sharp


def test_the_changes_of_an_unlabelled_set_can_be_distinguished() -> None:
    images = np.stack([np.asarray(face(number).resize((32, 32))) for number in range(600)])
    new_images, codes, sizes = classifier.change_at_random(images)
    assert new_images.shape == images.shape
    assert [len(np.unique(column)) for column in codes.T] == sizes == [4, 6, 3]
    is_unchanged = (codes == 0).all(1)
    np.testing.assert_array_equal(new_images[is_unchanged], images[is_unchanged])


@pytest.mark.parametrize(
    ("one", "other", "lower"),
    [
        pytest.param((40.0, 1.0), (50.0, 1.0), True, id="far"),
        pytest.param((48.0, 1.0), (50.0, 1.0), False, id="near"),
        pytest.param((50.0, 1.0), (50.0, 1.0), False, id="same"),
        pytest.param((40.0, 3.0), (45.0,), False, id="an old card"),
        pytest.param((40.0,), (45.0,), True, id="no errors known"),
    ],
)
def test_lower_means_lower_beyond_noise(
    one: tuple[float, ...], other: tuple[float, ...], lower: bool
) -> None:
    ours, theirs = (dict(zip(("fd", "fd_error"), each, strict=False)) for each in (one, other))
    assert is_lower(ours, theirs) is lower
    assert not is_lower(theirs, ours)
