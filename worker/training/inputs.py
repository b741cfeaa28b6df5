"""The inputs of a training step: images, latents and every random choice.

All of it is sampled before the step, so that the step itself is the same sequence of operations
on the same buffers each time, which a GPU can replay. Which tensors there are says what the step
does: with `penalty` it penalises slopes, with `real.shift` it augments.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from models.recipes.recipe import Recipe
from worker.hardware.devices import transfer
from worker.rng import random_stream
from worker.training import augmentation
from worker.training.batches import Reals
from worker.training.distributed.collectives import Share

Inputs = Mapping[str, Tensor]
_SIDES = ("real", "fake")
FEATURE_CHANGES = 0.5  # the probability that an image is changed before the features see it


@dataclass(frozen=True)
class InputSampler:
    """Samples the inputs of a step, from the recipe's seed and the step's number alone.

    layers: of styles in the generator, which mixing cuts; 0 for a generator without them.
    """

    recipe: Recipe
    reals: Reals
    device: torch.device
    share: Share
    layers: int
    has_features: bool

    def sample(self, step: int, augmentation_probability: float) -> dict[str, Tensor]:
        """This process's rows of the step's inputs, on the device, by name."""
        inputs = self.reals.inputs(step)
        inputs |= self.latents(step)
        # A classified attribute must stay visible: neither recoloured nor cut out.
        keep_labels = bool(self.reals.attributes and self.recipe.label_weight)
        if augmentation_probability > 0:
            for purpose in _SIDES:
                inputs |= self._changes(purpose, step, augmentation_probability, keep_labels)
        if self.recipe.noise > 0:
            inputs |= {f"{purpose}.noise": self._noise(purpose, step) for purpose in _SIDES}
        if self.has_features:
            keep_labels = bool(self.reals.attributes)
            for purpose in ("real features", "fake features"):
                inputs |= self._changes(purpose, step, FEATURE_CHANGES, keep_labels)
        return inputs

    def latents(self, step: int) -> dict[str, Tensor]:
        """z (B, latent); with mixing also another z, and the layer `cut` where it starts."""
        recipe, attributes = self.recipe, len(self.reals.attributes)
        random = self._random("latents", step)
        z = torch.randn(recipe.batch, recipe.latent + attributes, generator=random)
        if attributes:
            z[:, recipe.latent :] = self.reals.sample_attributes(step)
        if not recipe.mixing or not self.layers:
            return {"z": self._local_rows(z)}
        random = self._random("mixing", step)
        other = torch.randn(recipe.batch, recipe.latent + attributes, generator=random)
        # Both styles have the attributes that the discriminator gets as labels.
        other[:, recipe.latent :] = z[:, recipe.latent :]
        cut = torch.randint(1, self.layers, (recipe.batch,), generator=random)
        alone = torch.rand(recipe.batch, generator=random) >= recipe.mixing
        cut = torch.where(alone, self.layers, cut)
        rows = {"z": z, "other": other, "cut": cut}
        return {name: self._local_rows(values) for name, values in rows.items()}

    def _changes(
        self, purpose: str, step: int, probability: float, keep_labels: bool
    ) -> dict[str, Tensor]:
        recipe = self.recipe
        random = self._random("augmentation", purpose, step)
        changes = augmentation.sample(recipe.batch, recipe.resolution, probability, random)
        if keep_labels:
            changes = changes.without_colour_and_cutout()
        return {
            f"{purpose}.{name}": self._local_rows(values)
            for name, values in changes.tensors().items()
        }

    def _noise(self, purpose: str, step: int) -> Tensor:
        """Standard normal noise (B, 3, S, S); on a GPU from the GPU's own generator.

        Several million numbers a step would keep a processor busier than the GPU.
        """
        recipe = self.recipe
        shape = recipe.batch, 3, recipe.resolution, recipe.resolution
        random = self._random("noise", purpose, step)
        if self.device.type != "cuda":
            return self._local_rows(torch.randn(shape, generator=random))
        own = torch.Generator(self.device).manual_seed(random.initial_seed())
        return torch.randn(shape, generator=own, device=self.device)[self.share.rows]

    def _random(self, *keys: object) -> torch.Generator:
        return random_stream(self.recipe.seed, *self.reals.lineage, *keys)

    def _local_rows(self, rows: Tensor) -> Tensor:
        return transfer(rows[self.share.rows], self.device)


def split(inputs: Inputs, count: int) -> list[Inputs]:
    """Micro-batches: every count-th row each, so that groups of `modern.spread` stay whole."""
    if count == 1:
        return [inputs]
    return [
        {name: values[part::count] if values.dim() else values for name, values in inputs.items()}
        for part in range(count)
    ]
