"""One model against one dataset: every measure, with what a perfect model would get."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces import latents
from worker.datasets import held_out
from worker.datasets.packing import PackedDataset
from worker.evaluation import backgrounds, own_features, reference
from worker.evaluation.backgrounds import Backgrounds
from worker.evaluation.comparison import (
    Comparison,
    HeldOut,
    RealSide,
    compare,
    compare_held_out,
    floor_count,
)
from worker.evaluation.features import Features, Floats, Pixels
from worker.evaluation.novelty import PAIRS_SHOWN, Novelty, novelty, side_by_side
from worker.evaluation.own_features import OwnFeatures

BATCH = 32
FEWEST = 20  # images on each side: below, neighbours and covariances mean nothing
BACKGROUND_FACES = 1_000  # faces whose backgrounds are measured

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What `kao evaluate` measures.

    served: at the size that people see; native: at the network's resolution, the same object
    where the two sizes are equal. held_out: at the served size, None where the model's run held
    nothing out. backgrounds: None where the set's borders are not plain.
    """

    served: Comparison
    native: Comparison
    held_out: HeldOut | None
    backgrounds: Backgrounds | None
    novelty: float
    copies: float


class _Faces(NamedTuple):
    """Features of the drawn faces at one size: those of FD-Lite0 and of FD-Own."""

    lite: Floats
    own: Floats


def evaluate(
    drawer: Drawer,
    native_set: PackedDataset,
    samples: int,
    cache: Path,
    threads: int,
    psi: float = 1.0,
    progress: Progress | None = None,
    served_set: PackedDataset | None = None,
) -> tuple[Evaluation, Pixels]:
    """Draw seeds "0", "1", … and measure them; also the picture of the likeliest copies.

    native_set: the set at the network's resolution; served_set: at the size that people see, or a
    fair part of it; None: the same size. Raises DatasetError for a set of fewer than 40 images.
    """
    if native_set.count < 2 * FEWEST:
        raise DatasetError(
            f"{native_set.name!r} has {native_set.count} images; "
            f"measuring needs at least {2 * FEWEST}."
        )
    report = progress or (lambda stage, count, total: None)
    measurement = _Measurement(
        drawer=drawer,
        samples=samples,
        held_out_share=_held_out_share(drawer, native_set),
        features=Features(threads),
        cache=cache,
        psi=psi,
        report=report,
    )
    native, real, fake = measurement.compare(native_set)
    served, served_real, served_fake = native, real, fake
    if served_set is not None and served_set.size != native_set.size:
        served, served_real, served_fake = measurement.compare(served_set)
    face_novelty = novelty(real.training, fake)
    closest = face_novelty.closest_first[:PAIRS_SHOWN]
    evaluation = Evaluation(
        served=served,
        native=native,
        held_out=compare_held_out(served_real, served_fake),
        backgrounds=backgrounds.measure(draw(drawer, BACKGROUND_FACES, psi), native_set),
        novelty=face_novelty.ratio,
        copies=face_novelty.copies,
    )
    return evaluation, _pairs(drawer, native_set, real, face_novelty, closest, psi)


def draw(
    drawer: Drawer,
    count: int,
    psi: float = 1.0,
    size: int | None = None,
    seed: str = "",
) -> Pixels:
    """Faces (count, S, S, 3) of the seeds "0", "1", …, each after `seed`.

    size: as served at so many pixels; None: at the network's resolution.
    """
    return np.concatenate(
        [
            _draw(drawer, range(start, min(start + BATCH, count)), psi, size, seed)
            for start in range(0, count, BATCH)
        ]
    )


def _draw(drawer: Drawer, seeds: range, psi: float, size: int | None, seed: str) -> Pixels:
    length = drawer.card.network.latent
    z = np.stack([latents.derive(f"{seed}{number}", length) for number in seeds])
    return drawer.draw(z, psi) if size is None else drawer.draw_at(z, psi, size)


def _held_out_share(drawer: Drawer, native_set: PackedDataset) -> float:
    """The share of this set that the model's run held out; 0 for another set's model."""
    card = drawer.card
    is_same_set = card.dataset.fingerprint == native_set.fingerprint
    if not is_same_set or native_set.count < held_out.FEWEST:
        return 0.0
    return float(card.recipe.get("held_out", 0))


@dataclass(frozen=True, kw_only=True)
class _Measurement:
    """The measurement of one model, at any size. held_out_share: of the set, by the model's run."""

    drawer: Drawer
    samples: int
    held_out_share: float
    features: Features
    cache: Path
    psi: float
    report: Progress

    def compare(self, dataset: PackedDataset) -> tuple[Comparison, RealSide, Floats]:
        """The comparison at this packed set's size, with its real and its drawn side."""
        real, own = self._real_side(dataset)
        faces = self._draw_faces(dataset.size, min(self.samples, len(real.training)), own)
        return compare(real, faces.lite, faces.own), real, faces.lite

    def _draw_faces(self, size: int, count: int, own: OwnFeatures) -> _Faces:
        """Draw `count` faces as served at `size` pixels; their features."""
        lite_parts, own_parts = [], []
        for start in range(0, count, BATCH):
            seeds = range(start, min(start + BATCH, count))
            pixels = _draw(self.drawer, seeds, self.psi, size, "")
            lite_parts.append(self.features.extract(pixels))
            own_parts.append(own.extract(pixels))
            self.report(f"drawing at {size} px", seeds.stop, count)
        return _Faces(np.concatenate(lite_parts), np.concatenate(own_parts))

    def _real_side(self, dataset: PackedDataset) -> tuple[RealSide, OwnFeatures]:
        """The features of the real pictures, and FD-Own's network, which is trained on half."""
        features, cache, samples, size = self.features, self.cache, self.samples, dataset.size
        order = reference.order(dataset)
        lite = reference.real(
            dataset, dataset.count, features, cache, self._stage(f"real images at {size} px")
        )
        positions = np.array([held_out.position(name) for name in dataset.names()])
        is_held_out = (positions < self.held_out_share)[order]
        places, count = order[~is_held_out], min(samples, dataset.count)
        blurred_features = reference.real_blurred(
            dataset, count, features, cache, self._stage(f"blurring at {size} px")
        )
        half = floor_count(samples, len(places))
        # From the end, so that as few as possible of the compared pictures train the network.
        training_places = places[::-1][: max(1, len(places) // 2)]
        stage = self._stage(f"training FD-Own's network at {size} px")
        own = own_features.prepare(dataset, training_places, cache, lambda: stage(0, 1))
        side = RealSide(
            size=size,
            training=lite[~is_held_out],
            places=places,
            held_out=lite[is_held_out],
            training_blurred=blurred_features[~is_held_out[:count]],
            own=_own(dataset, places[:samples], own),
            own_second=_own(dataset, places[half : 2 * half], own),
        )
        return side, own

    def _stage(self, name: str) -> Callable[[int, int], None]:
        return lambda count, total: self.report(name, count, total)


def _own(dataset: PackedDataset, places: NDArray[np.int64], own: OwnFeatures) -> Floats:
    images = dataset.images()
    starts = range(0, len(places), BATCH)
    return np.concatenate([own.extract(images[places[start : start + BATCH]]) for start in starts])


def _pairs(
    drawer: Drawer,
    native_set: PackedDataset,
    real: RealSide,
    face_novelty: Novelty,
    closest: NDArray[np.int64],
    psi: float,
) -> Pixels:
    faces = np.concatenate(
        [_draw(drawer, range(face, face + 1), psi, None, "") for face in closest]
    )
    return side_by_side(faces, native_set.images()[real.places[face_novelty.nearest[closest]]])
