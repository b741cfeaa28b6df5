"""Whether a face shows the traits that it was asked for, and keeps those that it was not.

The judge is a small classifier trained on the dataset's true labels: it shares nothing with the
discriminator, and says on held-out real images how far it can be trusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models.bundle.generator import Drawer
from models.errors import DatasetError
from models.faces import latents
from models.faces.attributes import Attribute
from worker.datasets.packing import Packed
from worker.evaluation.features import Pixels

HELD_OUT = 0.1  # share of the set that the judge is not trained on
PASSES = 5
BATCH = 64
RATE = 2e-3  # Adam's, falling to nothing over the passes (one cycle)

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Trait:
    """One attribute's marks, shares from 0 to 1.

    judge: held-out real images whose value the judge names. shown: drawn faces that show the
    value they were asked for. kept: their other attributes that stayed as they were, on average;
    worst_kept: the one that stayed least often.
    """

    name: str
    values: list[str]
    judge: float
    shown: float
    kept: float
    worst_kept: float


class Judge(nn.Module):
    """(N, 3, S, S) in [-1, 1] → one row of logits an attribute."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        channels = (3, 32, 64, 128, 192)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        # Where a thing is tells glasses from earrings: a grid of 4×4, not one average.
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.heads = nn.ModuleList(nn.Linear(channels[-1] * 16, size) for size in sizes)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.trunk(images)
        return [head(x) for head in self.heads]


def evaluate(drawer: Drawer, packed: Packed, samples: int, psi: float = 1.0) -> list[Trait]:
    """Ask each of the model's attributes of `samples` fresh seeds.

    Raises DatasetError where the model has no attributes, or the set lacks their labels.
    """
    attributes = drawer.card.attributes
    if not attributes:
        raise DatasetError("This model has no traits: it was trained without `labels`.")
    known = packed.labels()
    missing = [each.name for each in attributes if each.name not in known]
    if missing:
        raise DatasetError(f"{packed.name!r} has no labels named {', '.join(missing)}.")
    codes = np.stack([_codes(known[each.name], each) for each in attributes], axis=1)
    judge, marks = train(packed.images(), codes, [len(each.values) for each in attributes])
    random = np.random.default_rng(0)
    z = np.stack([_latent(drawer, f"trait {number}") for number in range(samples)])
    before = judged(judge, drawer.draw(z, psi))
    found = []
    for place, attribute in enumerate(attributes):
        wanted = _wanted(random, attribute, before[:, place])
        asked = z.copy()
        asked[:, len(z[0]) - len(attributes) + place] = [
            attribute.normal(attribute.values[code]) for code in wanted
        ]
        after = judged(judge, drawer.draw(asked, psi))
        others = [number for number in range(len(attributes)) if number != place]
        kept = (after == before).mean(0)[others] if others else np.ones(1)
        found.append(
            Trait(
                name=attribute.name,
                values=attribute.values,
                judge=marks[place],
                shown=float((after[:, place] == wanted).mean()),
                kept=float(kept.mean()),
                worst_kept=float(kept.min()),
            )
        )
    return found


def train(images: Pixels, codes: Codes, sizes: Sequence[int]) -> tuple[Judge, list[float]]:
    """images: (N, S, S, 3); codes: (N, attributes). Returns it with its held-out accuracies."""
    random = np.random.default_rng(0)
    order = random.permutation(len(images))
    held, shown = np.split(order, [max(1, int(HELD_OUT * len(order)))])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = Judge(sizes)
    optimizer = torch.optim.Adam(judge.parameters(), RATE)
    steps = PASSES * max(1, len(shown) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        if step % max(1, len(shown) // BATCH) == 0:
            random.shuffle(shown)
        rows = np.take(shown, range(step * BATCH, (step + 1) * BATCH), mode="wrap")
        logits = judge(_inputs(images[np.sort(rows)]))
        truth = torch.from_numpy(codes[np.sort(rows)])
        losses = [F.cross_entropy(row, truth[:, place]) for place, row in enumerate(logits)]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).sum())
        optimizer.step()
        schedule.step()
    right = judged(judge, images[np.sort(held)]) == codes[np.sort(held)]
    return judge, [float(share) for share in right.mean(0)]


@torch.no_grad()
def judged(judge: Judge, images: Pixels) -> Codes:
    """(N, S, S, 3) → (N, attributes): the likeliest value of each."""
    judge.eval()
    parts = []
    for start in range(0, len(images), BATCH):
        logits = judge(_inputs(images[start : start + BATCH]))
        parts.append(torch.stack([row.argmax(1) for row in logits], dim=1).numpy())
    judge.train()
    return np.concatenate(parts)


def _inputs(images: Pixels) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _latent(drawer: Drawer, seed: str) -> NDArray[np.float32]:
    return latents.derive(seed, drawer.card.network.latent)


def _codes(label: dict[str, list[object]], attribute: Attribute) -> Codes:
    """The set's codes, in the order of the model's values."""
    place = {value: number for number, value in enumerate(attribute.values)}
    try:
        translated = [place[str(value)] for value in label["values"]]
    except KeyError as error:
        raise DatasetError(f"The model knows no {attribute.name} {error}.") from None
    codes: Codes = np.array(translated)[np.array(label["codes"])]
    return codes


def _wanted(random: np.random.Generator, attribute: Attribute, has: Codes) -> Codes:
    """For each face a value that it does not show, of those that the set has."""
    possible = [code for code, share in enumerate(attribute.shares) if share > 0]
    # An attribute of one value has nothing else to ask for.
    return np.array(
        [random.choice([code for code in possible if code != shown] or possible) for shown in has]
    )
