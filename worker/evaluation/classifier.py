"""A small classifier that is trained on one dataset, and its features.

It learns the set's labels; of a set without labels, which of several changes was made to a
picture: turned by quarters, its colours exchanged, its detail lost (as arXiv:1803.07728 does with
the turns). It shares nothing with a discriminator nor with a pretrained network, and is trained
anew for each set, so that no recipe can be tuned to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from models.faces.pixels import to_network
from worker.evaluation.features import Floats, Pixels

HELD_OUT = 0.1  # share of the pictures that it is not trained on
PASSES = 5
BATCH = 64
RATE = 2e-3  # Adam's, falling to nothing over the passes (one cycle)
HIDDEN = 256  # features
TURNS, CHANNELS, DETAIL = 4, list(permutations(range(3))), (1, 2, 4)

Codes = NDArray[np.int64]


class Classifier(nn.Module):
    """(N, 3, S, S) in [-1, 1] → one row of logits for each question, S at least 16."""

    def __init__(self, sizes: Sequence[int]) -> None:
        """sizes: the number of answers of each question."""
        super().__init__()
        channels = (3, 32, 64, 128, 192)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        # A grid of 4×4 instead of one average: positions distinguish glasses from earrings.
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(channels[-1] * 16, HIDDEN), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(HIDDEN, size) for size in sizes)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.hidden(self.trunk(images))
        return [head(x) for head in self.heads]


@dataclass(frozen=True)
class TrainedClassifier:
    """A trained classifier. accuracies: of each question, on held-out pictures."""

    network: Classifier
    accuracies: list[float]

    @torch.no_grad()
    def predict(self, images: Pixels) -> Codes:
        """(N, S, S, 3) → (N, questions): the likeliest answer to each."""
        parts = [
            torch.stack([row.argmax(1) for row in self.network(inputs)], dim=1).numpy()
            for inputs in _batches(images)
        ]
        return np.concatenate(parts)

    @torch.no_grad()
    def probabilities(self, images: Pixels) -> list[Floats]:
        """(N, S, S, 3) → for each question (N, answers): how likely each answer is."""
        parts = [[row.softmax(1).numpy() for row in self.network(x)] for x in _batches(images)]
        return [np.concatenate(rows) for rows in zip(*parts, strict=True)]

    @torch.no_grad()
    def features(self, images: Pixels) -> Floats:
        """(N, S, S, 3) → (N, HIDDEN): the hidden layer, the input of the heads."""
        network = self.network
        parts = [network.hidden(network.trunk(inputs)).numpy() for inputs in _batches(images)]
        return np.concatenate(parts)


def train(
    images: Pixels, codes: Codes, sizes: Sequence[int], passes: int = PASSES, seed: int = 0
) -> TrainedClassifier:
    """Train on true answers. images: (N, S, S, 3); codes: (N, questions)."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))
    held_out, training_rows = np.split(order, [max(1, int(HELD_OUT * len(order)))])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(sizes)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    steps_a_pass = max(1, len(training_rows) // BATCH)
    steps = passes * steps_a_pass
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        if step % steps_a_pass == 0:
            random.shuffle(training_rows)
        rows = np.sort(np.take(training_rows, range(step * BATCH, (step + 1) * BATCH), mode="wrap"))
        logits = network(_inputs(images[rows]))
        truth = torch.from_numpy(codes[rows])
        losses = [F.cross_entropy(row, truth[:, place]) for place, row in enumerate(logits)]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        schedule.step()
    network.eval()
    classifier = TrainedClassifier(network, [])
    held_out = np.sort(held_out)
    right = classifier.predict(images[held_out]) == codes[held_out]
    return TrainedClassifier(network, [float(share) for share in right.mean(0)])


def change_at_random(images: Pixels, seed: int = 0) -> tuple[Pixels, Codes, list[int]]:
    """The pictures with random changes, and which: turn, order of channels, detail.

    images: (N, S, S, 3). Returns the pictures, codes (N, 3), and the number of values of each.
    """
    random = np.random.default_rng(seed)
    sizes = [TURNS, len(CHANNELS), len(DETAIL)]
    codes: Codes = np.stack([random.integers(0, size, len(images)) for size in sizes], axis=1)
    pictures = [
        np.rot90(_coarse(image, DETAIL[detail])[..., CHANNELS[channels]], turns)
        for image, (turns, channels, detail) in zip(images, codes, strict=True)
    ]
    return np.stack(pictures), codes, sizes


def _coarse(image: Pixels, factor: int) -> Pixels:
    if factor == 1:
        return image
    small = Image.fromarray(image).reduce(factor)
    return np.asarray(small.resize(image.shape[1::-1], Image.Resampling.BICUBIC))


def _batches(images: Pixels) -> Iterator[Tensor]:
    for start in range(0, len(images), BATCH):
        yield _inputs(images[start : start + BATCH])


def _inputs(images: Pixels) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    return to_network(pixels).contiguous(memory_format=torch.channels_last)
