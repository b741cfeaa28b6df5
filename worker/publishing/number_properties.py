"""Properties of faces that a dataset's numeric labels describe, read from pixels by a classifier.

A label's range is divided into BINS of equally many pictures, and a face's number is the mean of
the bins' numbers, weighted by the classifier's probabilities. Sliders are searched for these
properties as for any other (slider_search).
"""

from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from worker.datasets.packing import PackedDataset
from worker.evaluation import classifier
from worker.evaluation.classifier import TrainedClassifier
from worker.publishing.slider_search import Doubles, Measure, Property

BINS = 5
MOST_PICTURES = 10_000  # to learn from: about a minute of one core at 64 pixels
# Above chance, of held-out pictures: with less, the pictures do not show the number.
LEAST_GAIN = 0.1
DEVIATIONS = 3  # of chance among so many held-out pictures

log = structlog.get_logger()


def learn(dataset: PackedDataset, names: Sequence[str]) -> dict[str, Property]:
    """Learn to read the numeric labels `names`. Leaves out those that pictures do not show."""
    numbers = dataset.numbers()
    names = [name for name in names if name in numbers]
    if not names:
        return {}
    places = np.linspace(0, dataset.count - 1, min(dataset.count, MOST_PICTURES)).astype(int)
    columns = [_fill(numbers[name])[places] for name in names]
    bins = [_bins(column) for column in columns]
    codes = np.stack([codes for codes, _ in bins], axis=1)
    sizes = [len(means) for _, means in bins]
    model = classifier.train(dataset.images()[places], codes, sizes)
    held_out = max(1, int(classifier.HELD_OUT * len(places)))
    properties: dict[str, Property] = {}
    for question, name in enumerate(names):
        chance = float(np.bincount(codes[:, question]).max() / len(codes))
        margin = max(LEAST_GAIN, DEVIATIONS * (chance * (1 - chance) / held_out) ** 0.5)
        accuracy = model.accuracies[question]
        if accuracy < chance + margin:
            log.warning("slider.refused", label=name, accuracy=accuracy, chance=chance)
            continue
        properties[name] = f"low to high {name}", _reader(model, question, bins[question][1])
    return properties


def _fill(column: Sequence[float | None]) -> Doubles:
    """The numbers, with the median where a picture has none."""
    values = np.array([np.nan if value is None else value for value in column], np.float64)
    return np.where(np.isnan(values), np.nanmedian(values), values)


def _bins(column: Doubles) -> tuple[NDArray[np.int64], Doubles]:
    """Codes (N,) of bins with about equally many numbers, and each bin's mean."""
    edges = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    _, codes = np.unique(np.searchsorted(edges, column, side="left"), return_inverse=True)
    return codes, np.bincount(codes, column) / np.bincount(codes)


def _reader(model: TrainedClassifier, question: int, means: Doubles) -> Measure:
    def read(x: Doubles) -> Doubles:
        pixels = (x * 255).round().astype(np.uint8)
        numbers: Doubles = model.probabilities(pixels)[question] @ means
        return numbers

    return read
