"""The real side of every comparison: features of a packed dataset, computed once."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.storage import atomic, layout
from worker.datasets.packing import PackedDataset
from worker.evaluation.features import Features, Floats, Pixels

STEP = 512  # images between two reports of progress

Progress = Callable[[int, int], None]


def order(dataset: PackedDataset) -> NDArray[np.int64]:
    """(N,): the set's images shuffled, always equally, so that a prefix is a fair sample."""
    return np.random.default_rng(0).permutation(dataset.count)


def real(
    dataset: PackedDataset,
    count: int,
    features: Features,
    cache: Path,
    progress: Progress | None = None,
) -> Floats:
    """Features (count, 1280) of the first `count` images of `order`."""
    return _cached(dataset, count, "real", lambda image: image, features, cache, progress)


def real_blurred(
    dataset: PackedDataset,
    count: int,
    features: Features,
    cache: Path,
    progress: Progress | None = None,
) -> Floats:
    """Features (count, 1280) of the same images, reduced to half their size and enlarged again."""
    return _cached(dataset, count, "blurred", _blur, features, cache, progress)


def _blur(image: Pixels) -> Pixels:
    half = Image.fromarray(image).reduce(2)
    return np.asarray(half.resize(image.shape[1::-1], Image.Resampling.BICUBIC))


def _cached(
    dataset: PackedDataset,
    count: int,
    kind: str,
    change: Callable[[Pixels], Pixels],
    features: Features,
    cache: Path,
    progress: Progress | None,
) -> Floats:
    count = min(count, dataset.count)
    folder = cache / layout.FEATURES / f"{dataset.fingerprint[:32]}-{kind}"
    # The features of a longer prefix begin with those of a shorter one.
    for path in folder.glob("*.npy"):
        if int(path.stem) >= count:
            cached: Floats = np.load(path, allow_pickle=False)[:count]
            return cached
    folder.mkdir(parents=True, exist_ok=True)
    images, places = dataset.images(), order(dataset)[:count]
    parts = []
    for start in range(0, count, STEP):
        batch = np.stack([change(images[place]) for place in places[start : start + STEP]])
        parts.append(features.extract(batch))
        if progress:
            progress(min(start + STEP, count), count)
    rows = np.concatenate(parts)
    with atomic.whole_file(folder / f"{count}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    return rows
