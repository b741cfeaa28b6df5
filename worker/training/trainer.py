"""The training state of a run, and the training step."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import build, modern
from models.recipes.losses import LOSSES
from models.recipes.recipe import Adam, Recipe
from worker.learning_rates import cosine
from worker.rng import draws
from worker.training import augmentation, ema, feature_discriminator, frozen_features
from worker.training.augmentation import Changes
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.distributed.collectives import Share
from worker.training.feature_discriminator import FeatureDiscriminator, Heads
from worker.training.losses import label_loss
from worker.training.schedules import augmentation as augmentation_strength
from worker.training.schedules import ema_decay
from worker.training.step import LabelledImages, Penalty, Step

FEATURE_CHANGES = 0.5  # the probability that an image is changed before the features see it
Losses = dict[str, float]
Weights = Mapping[str, Tensor]


class Trainer:
    """The networks, their optimisers, the averaged generator, and the number of steps."""

    def __init__(
        self,
        recipe: Recipe,
        reals: Reals,
        device: torch.device,
        bf16: bool,
        share: Share | None = None,
    ) -> None:
        self.recipe, self.reals, self.device = recipe, reals, device
        self.share = share or Share()
        collectives.check(recipe.batch, self.share)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws(recipe.seed, "weights").initial_seed())
            g = build.generator(recipe, reals.attributes)
            d = build.discriminator(recipe, reals.attributes)
        self.average = ema.average_of(_move(g, device))
        self.generator = collectives.use_global_batch_norm(_move(g, device), self.share)
        self.discriminator = collectives.use_global_batch_norm(_move(d, device), self.share)
        self.optimizers = {
            "generator": _adam(self.generator, recipe, "generator"),
            "discriminator": _adam(self.discriminator, recipe, "discriminator"),
        }
        self.features = self._feature_discriminator(bf16)
        loss = LOSSES[recipe.loss]
        self._step = Step(
            self.generator,
            self.discriminator,
            lambda real, fake: loss.discriminator(real, fake, functional),
            lambda real, fake: loss.generator(real, fake, functional),
            self._descend,
            bf16,
            self._label_loss if reals.attributes and recipe.label_weight else None,
        )
        self.step = 0
        # Images that the parent saw; those of them that belong to this set; and the factor by
        # which rollbacks reduced the learning rates.
        self.before, self.before_of_set, self.slowed = 0, 0, 1.0
        # Keys of every random draw beside the seed, so that a child does not repeat its parent's.
        self.lineage: tuple[str, ...] = ()

    def _feature_discriminator(self, bf16: bool) -> FeatureDiscriminator | None:
        """The second discriminator, where the recipe wants one and its weights are there."""
        has_package = self.recipe.feature_weight > 0 and frozen_features.is_available()
        (is_used,) = collectives.agree([float(has_package)], self.share, self.device)
        if not is_used:
            return None
        trunk = frozen_features.load_trunk().to(self.device)
        labels = sum(len(attribute.values) for attribute in self.reals.attributes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws(self.recipe.seed, "heads").initial_seed())
            heads = Heads(labels)
        heads.to(self.device)
        self.optimizers["heads"] = torch.optim.Adam(
            [each for each in heads.parameters() if each.requires_grad],
            lr=feature_discriminator.LEARNING_RATE,
            betas=feature_discriminator.BETAS,
            fused=True,
        )
        self.heads = heads
        return FeatureDiscriminator(trunk, heads, self._descend, bf16)

    @property
    def lacks_features(self) -> bool:
        """Whether the recipe wants frozen features whose weights are not there."""
        return self.recipe.feature_weight > 0 and self.features is None

    @property
    def images(self) -> int:
        """Real images seen in training, including a parent's."""
        return self.before + self.step * self.recipe.batch

    @property
    def latent(self) -> int:
        """The length of a latent: the recipe's, and one element for each attribute."""
        return self.recipe.latent + len(self.reals.attributes)

    @property
    def epoch(self) -> int:
        """Whole passes over the set."""
        return self.step // self.reals.steps_per_epoch

    def advance(self, fraction: float = 0.0) -> Losses:
        """Train the discriminator on one batch, then the generator; returns the losses.

        fraction: the share of the run that is done, for the schedules.
        """
        self._set_learning_rates(fraction)
        latents = self._latents()
        images = self._step.draw(*latents)
        batch = self.reals.batch(self.step)
        labels = self.reals.labels(self.step), self._labels_of(latents[0])
        real, fake = map(LabelledImages, self._augment(batch, images), labels)
        losses, real_score = self._step.train_discriminator(real, fake, self._penalty(fraction))
        # Different latents that give one image are a collapse, whatever the losses are. Measured
        # before augmentation, which makes even equal images differ.
        losses["diversity"] = images.detach().std(0).mean()
        feature_loss = None
        if self.features is not None:
            inputs = map(LabelledImages, self._augment_for_features(batch, images), labels)
            feature_losses, features = self.features.train(*inputs)
            losses |= feature_losses
            weight = self.recipe.feature_weight * feature_discriminator.ramp(self.images)
            feature_loss = weight * self.features.generator_loss(features, labels[1])
        losses |= self._step.train_generator(real_score, fake, feature_loss)
        if isinstance(self.generator, modern.Generator) and self.generator.mapping is not None:
            collectives.average_buffer(self.generator.mapping.average, self.share)
        self.step += 1
        half_life = self.recipe.ema_images
        decay = ema_decay(self.recipe.batch, self.images, half_life)
        ema.update(self.average, self.generator, decay)
        return {name: value.item() for name, value in losses.items()}

    def _latents(self) -> tuple[Tensor, ...]:
        """The step's z (B, latent); with mixing also a second z and the layer where it starts."""
        recipe = self.recipe
        random = self._random("latents")
        z = torch.randn(recipe.batch, self.latent, generator=random)
        if self.reals.attributes:
            z[:, recipe.latent :] = self.reals.sample_attributes(self.step)
        if not recipe.mixing or not isinstance(self.generator, modern.Generator):
            return (self._local_rows(z),)
        random = self._random("mixing")
        other = torch.randn(recipe.batch, self.latent, generator=random)
        # Both styles have the attributes that the discriminator gets as labels.
        other[:, recipe.latent :] = z[:, recipe.latent :]
        layers = self.generator.synthesis.layers
        cut = torch.randint(1, layers, (recipe.batch,), generator=random)
        alone = torch.rand(recipe.batch, generator=random) >= recipe.mixing
        cut = torch.where(alone, layers, cut)
        return self._local_rows(z), self._local_rows(other), self._local_rows(cut)

    def _random(self, *keys: object) -> torch.Generator:
        return draws(self.recipe.seed, *self.lineage, *keys, self.step)

    def _local_rows(self, rows: Tensor) -> Tensor:
        """This process's rows of a global batch, on its device."""
        return rows[self.share.rows].to(self.device)

    def _labels_of(self, z: Tensor) -> Tensor | None:
        """The one-hot labels that latents select."""
        if not isinstance(self.generator, modern.Generator) or not self.reals.attributes:
            return None
        assert self.generator.mapping is not None
        return self.generator.mapping.labels(z)

    def _label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        sizes = [len(attribute.values) for attribute in self.reals.attributes]
        return self.recipe.label_weight * label_loss(logits, labels, sizes)

    def _augment(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's input: augmented images, with noise of the same strength."""
        images_seen = self.before_of_set + self.step * self.recipe.batch
        probability = augmentation_strength(self.reals.count, images_seen, self.recipe.augment)
        # A classified attribute must stay visible: neither recoloured nor cut out.
        keep_labels = bool(self.reals.attributes and self.recipe.label_weight)
        if probability > 0:
            real = augmentation.apply(real, self._sample_changes("real", probability, keep_labels))
            fake = augmentation.apply(fake, self._sample_changes("fake", probability, keep_labels))
        if self.recipe.noise > 0:
            real, fake = real + self._noise("real", real), fake + self._noise("fake", fake)
        return real, fake

    def _noise(self, purpose: str, images: Tensor) -> Tensor:
        """Noise for images (N, 3, S, S) that hides grain of a level or two.

        A discriminator that sees such grain learns little else. Real and fake images get noise of
        the same distribution, so that it removes no difference between the two for good
        (arXiv:1610.04490 §2).
        """
        _, *shape = images.shape
        random = self._random("noise", purpose)
        noise = torch.randn(self.recipe.batch, *shape, generator=random)
        return self._local_rows(noise) * (self.recipe.noise / 127.5)

    def _augment_for_features(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The input of the frozen features: augmented, so that heads memorise no image."""
        keep_labels = bool(self.reals.attributes)
        return augmentation.apply(
            real, self._sample_changes("real features", FEATURE_CHANGES, keep_labels)
        ), augmentation.apply(
            fake, self._sample_changes("fake features", FEATURE_CHANGES, keep_labels)
        )

    def _sample_changes(self, purpose: str, probability: float, keep_labels: bool) -> Changes:
        recipe = self.recipe
        random = self._random("augmentation", purpose)
        changes = augmentation.sample(recipe.batch, recipe.resolution, probability, random)
        if keep_labels:
            changes = changes.without_colour_and_cutout()
        return changes.rows(self.share.rows, self.device)

    def _penalty(self, fraction: float) -> Penalty | None:
        recipe = self.recipe
        end = recipe.gamma if recipe.gamma_end is None else recipe.gamma_end
        gamma = cosine(recipe.gamma, end, fraction)
        if not gamma or self.step % recipe.penalty_every:
            return None
        return Penalty(gamma, recipe.penalty_every, for_fakes=recipe.penalty == "r1+r2")

    def _set_learning_rates(self, fraction: float) -> None:
        share = self.slowed * cosine(1.0, self.recipe.learning_rate_end, fraction)
        for name, optimizer in self.optimizers.items():
            rate = (
                feature_discriminator.LEARNING_RATE if name == "heads" else _rate(self.recipe, name)
            )
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        collectives.average_gradients(getattr(self, name), self.share)
        optimizer.step()

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as plain tensors and numbers."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "heads": None if self.features is None else self.heads.state_dict(),
            "step": self.step,
            "before": self.before,
            "before_of_set": self.before_of_set,
            "lineage": list(self.lineage),
            "slowed": self.slowed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load what `state()` returned."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        heads = state.get("heads")  # none in snapshots without frozen features
        if self.features is not None and heads is not None:
            self.heads.load_state_dict(heads)
        for name, optimizer in self.optimizers.items():
            if name in state["optimizers"]:
                optimizer.load_state_dict(state["optimizers"][name])
        self.step = state["step"]
        # Snapshots of version 0.1.0 lack these two.
        self.before, self.slowed = state.get("before", 0), state.get("slowed", 1.0)
        # Without these, a child counted its parent's images as passes over its own set.
        self.before_of_set = state.get("before_of_set", self.before)
        self._inherit(tuple(state.get("lineage", [])))

    def take_discriminator(self, weights: Weights, heads: Weights) -> int:
        """Load a trained discriminator's tensors; how many fit.

        None are taken unless its convolutions fit, but other labels may leave out the layers that
        read and name them.
        """
        own = self.discriminator.state_dict()
        fitting = _fitting(weights, own)
        missing = [name for name in own if name not in fitting]
        if not fitting or any(name.split(".")[0] not in ("expected", "named") for name in missing):
            return 0
        self.discriminator.load_state_dict(fitting, strict=False)
        if self.features is not None:
            self.heads.load_state_dict(_fitting(heads, self.heads.state_dict()), strict=False)
        return len(fitting)

    def begin(self, before: int, before_of_set: int = 0, parent: str | None = None) -> None:
        """Count steps from here.

        before: images that the weights have seen already; before_of_set: those of them that were
        of this very set. parent: the run or model that they come from, which gives every random
        draw another key.
        """
        self.before, self.before_of_set, self.step = before, before_of_set, 0
        self._inherit((*self.lineage, parent) if parent is not None else self.lineage)

    def _inherit(self, lineage: tuple[str, ...]) -> None:
        self.lineage = self.reals.lineage = lineage


def _fitting(weights: Weights, own: Weights) -> dict[str, Tensor]:
    """Those of the weights whose name and shape the network has."""
    return {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }


def _move(network: nn.Module, device: torch.device) -> nn.Module:
    network = network.to(device)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            # Convolutions on a CPU run up to three times faster so.
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _lazy(recipe: Recipe, name: str) -> float:
    """A penalty that acts every k steps wants Adam slower (arXiv:1912.04958 App. B)."""
    every = recipe.penalty_every if name == "discriminator" and recipe.gamma else 1
    return every / (every + 1) if every > 1 else 1.0


def _rate(recipe: Recipe, name: str) -> float:
    adam: Adam = getattr(recipe, name)
    return adam.learning_rate * _lazy(recipe, name)


def _adam(network: nn.Module, recipe: Recipe, name: str) -> torch.optim.Adam:
    adam: Adam = getattr(recipe, name)
    ratio = _lazy(recipe, name)
    return torch.optim.Adam(
        network.parameters(),
        lr=_rate(recipe, name),
        betas=(adam.beta1**ratio, adam.beta2**ratio),
        fused=True,
    )
