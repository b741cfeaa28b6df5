"""Real images in batches, in an order that the seed and the pass fix.

Each image comes once a pass, or with `balance` as often as the rarity of its labels says.
"""

from collections.abc import Container, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from models.errors import DatasetError
from models.faces.attributes import Attribute, from_labels
from models.faces.pixels import to_network
from models.recipes.recipe import Recipe
from worker.hardware.devices import transfer
from worker.rng import random_stream
from worker.training.balance import Balance, weights
from worker.training.distributed.collectives import Share

SHARE_OF_DEVICE = 0.25  # of the free memory that a dataset may take
LOADED_AT_ONCE = 1_000  # images, so that a large set is not in the host's memory too


class Reals:
    """The real images of a run: on the GPU where they fit, else mapped from disk."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        recipe: Recipe,
        device: torch.device,
        share: Share | None = None,
        labels: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
        places: NDArray[np.int64] | None = None,
        numbers: Container[str] = (),
    ) -> None:
        """images: (N, S, S, 3) uint8, usually a memory map; labels: as the packed set has them.

        places: indices of the images to train on; None: all. numbers: the set's numeric labels,
        which become sliders after training.
        Raises DatasetError where the set lacks labels that the recipe names.
        """
        self.recipe, self.device, self.share = recipe, device, share or Share()
        self.count = len(images) if places is None else len(places)
        self._places = None if places is None else torch.from_numpy(places)
        self.lineage: tuple[str, ...] = ()  # the trainer sets it
        self.attributes = _attributes(_at(labels or {}, places), recipe, numbers)
        codes = [(labels or {})[attribute.name]["codes"] for attribute in self.attributes]
        self._codes = torch.tensor(codes, dtype=torch.long)
        self._balance = self._rarity() if recipe.balance and self.attributes else None
        self._images = images
        self._last_order: tuple[tuple[int, tuple[str, ...]], Tensor] | None = None
        self._resident: Tensor | None = None
        self._loader: ThreadPoolExecutor | None = None
        self._ahead: tuple[tuple[object, ...], Future[Tensor]] | None = None
        if device.type == "cuda":
            if images.nbytes < SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
                self._resident = load(images, device)
            else:
                self._loader = ThreadPoolExecutor(1, "reals")

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in a pass over the set; the partial one at its end is dropped."""
        return max(1, self.count // self.recipe.batch)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the set on the device; 0 where it stays on disk."""
        return 0 if self._resident is None else self._resident.numel()

    def inputs(self, step: int) -> dict[str, Tensor]:
        """This process's rows of the step's batch, on the device.

        pixels: (B, S, S, 3) uint8; with `flip` also mirror: (B,) bool; with attributes labels:
        (B, values of all attributes) float32, one-hot.
        """
        inputs = {"pixels": self._pixels(step)}
        if self.recipe.flip:
            random = torch.rand(self.recipe.batch, generator=self._random("flip", step))
            inputs["mirror"] = transfer((random < 0.5)[self.share.rows], self.device)
        if self.attributes:
            inputs["labels"] = transfer(self._labels(step), self.device)
        return inputs

    def batch(self, step: int) -> Tensor:
        """This process's rows of the step's batch: (B, 3, S, S) float32 in [-1, 1]."""
        inputs = self.inputs(step)
        return to_images(inputs["pixels"], inputs.get("mirror"))

    def _labels(self, step: int) -> Tensor:
        codes = self._codes[:, self._indices(step)]
        hot = [
            one_hot(column, len(attribute.values))
            for column, attribute in zip(codes, self.attributes, strict=True)
        ]
        return torch.cat(hot, dim=1).float()

    def sample_attributes(self, step: int) -> Tensor:
        """Latents that select the labels of random images: (batch, attributes) float32.

        Whole rows of labels, with replacement, for the global batch. Attributes sampled one by one
        would combine values that no real image combines; a discriminator rejects those whatever
        the face looks like, and the generator answers by painting both. With `match_weight` they
        are the rows of the step's real images, in their order.
        """
        random = self._random("labels", step)
        if self.recipe.match_weight:
            rows = self._rows(step)
        elif self._balance is None:
            rows = torch.randint(0, self.count, (self.recipe.batch,), generator=random)
        else:
            rows = self._balance.sample(self.recipe.batch, random)
        rows = rows if self._places is None else self._places[rows]
        shape = len(self.attributes), self.recipe.batch
        uniform = torch.rand(shape, dtype=torch.float64, generator=random).numpy()
        columns = [
            torch.from_numpy(attribute.sample(codes[rows].numpy(), quantiles))
            for attribute, codes, quantiles in zip(
                self.attributes, self._codes, uniform, strict=True
            )
        ]
        return torch.stack(columns, dim=1)

    def _rarity(self) -> Balance:
        """By all labels, hidden ones too: a seed gives a value of each."""
        codes = self._codes if self._places is None else self._codes[:, self._places]
        return Balance(weights(list(codes.numpy()), self.recipe.balance))

    def _random(self, *keys: object) -> torch.Generator:
        return random_stream(self.recipe.seed, *self.lineage, *keys)

    def _pixels(self, step: int) -> Tensor:
        if self._resident is not None:
            return self._resident[transfer(self._indices(step), self.device)]
        if self._loader is None:
            return self._read(step)
        # After the training the first process takes over the others' share.
        key = (self.lineage, self.share)
        if self._ahead is not None and self._ahead[0] == (step, *key):
            batch = self._ahead[1].result()
        else:
            batch = self._read(step).pin_memory()
        # Read the next batch while the device works on this one.
        task = self._loader.submit(lambda: self._read(step + 1).pin_memory())
        self._ahead = (step + 1, *key), task
        return batch.to(self.device, non_blocking=True)

    def _read(self, step: int) -> Tensor:
        return torch.from_numpy(self._images[self._indices(step).numpy()])

    def _indices(self, step: int) -> Tensor:
        """The images of this process's rows, as indices of the whole set."""
        rows = self._rows(step)[self.share.rows]
        return rows if self._places is None else self._places[rows]

    def _rows(self, step: int) -> Tensor:
        """The images of the global batch, as indices of those that are trained on."""
        epoch, position = divmod(step, self.steps_per_epoch)
        batch = self.recipe.batch
        # A set smaller than a batch repeats within it.
        places = torch.arange(position * batch, (position + 1) * batch) % self.count
        return self._order(epoch)[places]

    def _order(self, epoch: int) -> Tensor:
        """The images of a pass, the same for each of its steps: a permutation without `balance`."""
        key, last = (epoch, self.lineage), self._last_order  # the loader's thread may replace it
        if last is None or last[0] != key:
            random = self._random("order", epoch)
            if self._balance is None:
                order = torch.randperm(self.count, generator=random)
            else:
                order = self._balance.order(random)
            last = self._last_order = key, order
        return last[1]


def load(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Images (N, S, S, 3) uint8, mapped from disk, on the device."""
    resident = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), LOADED_AT_ONCE):
        places = slice(start, start + LOADED_AT_ONCE)
        resident[places] = torch.from_numpy(np.array(images[places]))
    return resident


def to_images(pixels: Tensor, mirror: Tensor | None = None) -> Tensor:
    """(N, S, S, 3) uint8 → (N, 3, S, S) float32 in [-1, 1]; `mirror` (N,) says which to mirror."""
    images = to_network(pixels)
    if mirror is not None:
        images = torch.where(mirror[:, None, None, None], images.flip(3), images)
    return images.contiguous(memory_format=torch.channels_last)


def _at(
    labels: Mapping[str, Mapping[str, Sequence[Any]]], places: NDArray[np.int64] | None
) -> Mapping[str, Mapping[str, Sequence[Any]]]:
    """The labels of the images at these places alone: a value's share is its share of training."""
    if places is None:
        return labels
    return {
        name: {**label, "codes": [label["codes"][place] for place in places]}
        for name, label in labels.items()
    }


def _attributes(
    labels: Mapping[str, Any], recipe: Recipe, numbers: Container[str]
) -> list[Attribute]:
    names = [name for name in recipe.labels if name not in numbers]
    attribute_names = {name for name in labels if name not in numbers}
    lacking = [name for name in (*names, *recipe.hidden_labels) if name not in attribute_names]
    if lacking:
        reason = f"has {', '.join(sorted(labels))}" if labels else "is not labelled"
        raise DatasetError(f"`labels` asks for {', '.join(lacking)}, but the set {reason}.")
    return from_labels(labels, names, recipe.hidden_labels)
