"""The second metric's network: a classifier trained on the dataset itself (FD-Own).

EfficientNet-Lite0 was trained on photographs of a thousand kinds of things: pictures with a low FD
by its features may still be no faces of this set, and training on any ImageNet features lowers that
FD without better faces (arXiv:2203.06026). This network is trained on this set alone.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.storage import atomic, layout
from worker.datasets.held_out import Places
from worker.datasets.packing import PackedDataset
from worker.evaluation import classifier
from worker.evaluation.classifier import Classifier, Codes, TrainedClassifier
from worker.evaluation.features import Floats, Pixels, resize

LARGEST_SIDE = 128  # pixels, of its input; part of the definition of FD-Own
MOST = 6_000  # pictures that it is trained on
STEPS = 300  # of its training, about
MOST_VALUES = 64  # of a label that it learns


@dataclass(frozen=True)
class OwnFeatures:
    """A trained classifier and the side of its input in pixels."""

    classifier: TrainedClassifier
    side: int

    def extract(self, images: Pixels) -> Floats:
        """images: (N, S, S, 3) uint8, any S. Returns (N, 256) float32."""
        return self.classifier.features(np.stack([resize(image, self.side) for image in images]))


def prepare(
    dataset: PackedDataset, places: Places, cache: Path, report: Callable[[], None]
) -> OwnFeatures:
    """Train on at most MOST pictures at `places`, or read what an earlier call trained.

    It is trained on the set's labels; without any, on the changes of `classifier.change_at_random`.
    report is called before training, which takes minutes.
    """
    side, training_places = min(dataset.size, LARGEST_SIDE), np.sort(places[:MOST])
    codes, sizes = _codes(dataset, training_places)
    key = hashlib.sha256(
        json.dumps([side, STEPS, sizes, training_places.tolist()]).encode()
    ).hexdigest()
    path = cache / layout.FEATURES / f"{dataset.fingerprint[:32]}-classifier-{key[:16]}.safetensors"
    network = Classifier(sizes).eval()
    try:
        network.load_state_dict(load_file(path))
        return OwnFeatures(TrainedClassifier(network, []), side)
    except (OSError, SafetensorError, RuntimeError):
        report()
    pictures = dataset.images()
    images = np.stack([resize(pictures[place], side) for place in training_places])
    if codes is None:
        images, codes, sizes = classifier.change_at_random(images)
    passes = max(1, round(STEPS * classifier.BATCH / len(images)))
    own_classifier = classifier.train(images, codes, sizes, passes)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.whole_file(path) as temporary:
        save_file(own_classifier.network.state_dict(), temporary)
    return OwnFeatures(own_classifier, side)


def _codes(dataset: PackedDataset, places: Places) -> tuple[Codes | None, list[int]]:
    """(N, attributes) of the labels that are worth learning, and how many values each has."""
    labels = {
        name: label
        for name, label in dataset.labels().items()
        if 2 <= len(label["values"]) <= MOST_VALUES
    }
    if not labels:
        return None, [classifier.TURNS, len(classifier.CHANNELS), len(classifier.DETAIL)]
    codes = np.stack([np.array(label["codes"])[places] for label in labels.values()], axis=1)
    return codes, [len(label["values"]) for label in labels.values()]
