"""The training state of a run: networks, optimisers, and how one step follows another."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks import build, modern
from models.recipes.adversarial_losses import LOSSES
from models.recipes.recipe import Adam, Recipe
from worker.cosine import cosine
from worker.rng import random_stream
from worker.training import (
    ema,
    execution,
    feature_discriminator,
    frozen_features,
    label_extension,
    optimizers,
)
from worker.training.batches import Reals
from worker.training.distributed import collectives
from worker.training.distributed.collectives import Share
from worker.training.feature_discriminator import FeatureDiscriminator, Heads
from worker.training.inputs import InputSampler
from worker.training.loss_log import Losses, LossLog
from worker.training.losses import label_loss
from worker.training.schedules import augmentation as augmentation_strength, ema_decay
from worker.training.step import Step

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
        graphs: bool | None = None,
    ) -> None:
        """graphs: False never replays steps as CUDA graphs; else the device decides."""
        self.recipe, self.reals, self.device = recipe, reals, device
        self.share = share or Share()
        collectives.check(recipe.batch, self.share, recipe.accumulation)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_stream(recipe.seed, "weights").initial_seed())
            g = build.generator(recipe, reals.attributes)
            d = build.discriminator(recipe, reals.attributes)
        self.average = ema.average_of(_move(g, device))
        self.generator = collectives.use_global_batch_norm(_move(g, device), self.share)
        self.discriminator = collectives.use_global_batch_norm(_move(d, device), self.share)
        self.optimizers = {
            name: _adam(getattr(self, name), recipe, name, device)
            for name in ("generator", "discriminator")
        }
        self.features = self._feature_discriminator(bf16)
        self.step_program = self._step(bf16)
        self.execution = execution.choose(self._run_step, device, self.share.world, graphs)
        self.inputs = InputSampler(
            recipe,
            reals,
            device,
            self.share,
            self.generator.synthesis.layers if isinstance(self.generator, modern.Generator) else 0,
            self.features is not None,
        )
        self.losses = LossLog(device)
        self.step = 0
        # Images that the parent saw; those of them that belong to this set; and the factor by
        # which rollbacks reduced the learning rates.
        self.parent_images, self.parent_images_of_set, self.rate_factor = 0, 0, 1.0
        self.images_before_heads = 0  # seen before the features' heads began to learn
        # Keys of every random stream beside the seed, so that a child does not repeat its parent's.
        self.lineage: tuple[str, ...] = ()

    def _step(self, bf16: bool) -> Step:
        recipe, loss = self.recipe, LOSSES[self.recipe.loss]
        return Step(
            self.generator,
            self.discriminator,
            lambda real, fake: loss.discriminator(real, fake, functional),
            lambda real, fake: loss.generator(real, fake, functional),
            self._zero_gradients,
            self._update,
            bf16,
            self.features,
            self._label_loss if self.reals.attributes and recipe.label_weight else None,
            penalises_fakes=recipe.penalty == "r1+r2",
            noise=recipe.noise / 127.5,
            accumulation=recipe.accumulation,
            match_weight=recipe.match_weight if self.reals.attributes else 0.0,
        )

    def _feature_discriminator(self, bf16: bool) -> FeatureDiscriminator | None:
        """The second discriminator, where the recipe has one and its weights are installed."""
        has_package = self.recipe.feature_weight > 0 and frozen_features.is_available()
        (is_used,) = collectives.agree([float(has_package)], self.share)
        if not is_used:
            return None
        trunk = frozen_features.load_trunk().to(self.device)
        labels = sum(len(attribute.values) for attribute in self.reals.attributes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(random_stream(self.recipe.seed, "heads").initial_seed())
            heads = Heads(labels)
        heads.to(self.device)
        self.optimizers["heads"] = optimizers.adam(
            [each for each in heads.parameters() if each.requires_grad],
            feature_discriminator.LEARNING_RATE,
            feature_discriminator.BETAS,
            self.device,
        )
        self.heads = heads
        return FeatureDiscriminator(trunk, heads, bf16)

    @property
    def lacks_features(self) -> bool:
        """Whether the recipe uses frozen features whose weights are not installed."""
        return self.recipe.feature_weight > 0 and self.features is None

    @property
    def images(self) -> int:
        """Real images seen in training, including a parent's."""
        return self.parent_images + self.step * self.recipe.batch

    @property
    def latent(self) -> int:
        """The length of a latent: the recipe's, and one element for each attribute."""
        return self.recipe.latent + len(self.reals.attributes)

    @property
    def labels(self) -> list[dict[str, Any]]:
        """The labels of the set that it trains on, with their values and shares, as JSON."""
        return [attribute.model_dump() for attribute in self.reals.attributes]

    @property
    def epoch(self) -> int:
        """Whole passes over the set."""
        return self.step // self.reals.steps_per_epoch

    @property
    def strongest_augmentation(self) -> float:
        """The highest probability that an image is changed, once the set is familiar."""
        return augmentation_strength(self.reals.count, 10**12, self.recipe.augment)

    def train(self, fraction: float = 0.0) -> list[Losses]:
        """Train all networks on one batch; the losses of the steps since the last reading.

        fraction: the share of the run that is done, for the schedules. The losses come when the
        log of them is full, on a CPU after each step; until then there are none.
        """
        self._set_learning_rates(fraction)
        self.losses.add(self.execution.run(self.step_inputs(fraction)))
        self.step += 1
        decay = ema_decay(self.recipe.batch, self.images, self.recipe.ema_images)
        ema.update(self.average, self.generator, decay)
        return self.losses.read() if self.losses.is_full else []

    def advance(self, fraction: float = 0.0) -> Losses:
        """Train all networks on one batch; the losses of this step, read at once."""
        losses = self.train(fraction) or self.losses.read()
        return losses[-1]

    def step_inputs(self, fraction: float = 0.0) -> dict[str, Tensor]:
        """What the next step reads: its batch, its random choices, its scheduled weights."""
        images_seen = self.parent_images_of_set + self.step * self.recipe.batch
        probability = augmentation_strength(self.reals.count, images_seen, self.recipe.augment)
        inputs = self.inputs.sample(self.step, probability)
        penalty = self._penalty(fraction)
        if penalty:
            inputs["penalty"] = torch.full((), penalty, device=self.device)
        if self.features is not None:
            images = self.images - self.images_before_heads
            weight = self.recipe.feature_weight * feature_discriminator.ramp(images)
            inputs["feature_weight"] = torch.full((), weight, device=self.device)
        return inputs

    def _run_step(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        losses = self.step_program.run(inputs)
        if isinstance(self.generator, modern.Generator) and self.generator.mapping is not None:
            collectives.average_buffer(self.generator.mapping.average, self.share)
        return losses

    def _label_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        sizes = [len(attribute.values) for attribute in self.reals.attributes]
        return self.recipe.label_weight * label_loss(logits, labels, sizes)

    def _penalty(self, fraction: float) -> float:
        """The weight of the gradient penalty in the next step: γ/2 times the steps between two."""
        recipe = self.recipe
        end = recipe.gamma if recipe.gamma_end is None else recipe.gamma_end
        gamma = cosine(recipe.gamma, end, fraction)
        return 0.0 if self.step % recipe.penalty_every else gamma / 2 * recipe.penalty_every

    def _set_learning_rates(self, fraction: float) -> None:
        share = self.rate_factor * cosine(1.0, self.recipe.learning_rate_end, fraction)
        for name, optimizer in self.optimizers.items():
            rate = (
                feature_discriminator.LEARNING_RATE if name == "heads" else _rate(self.recipe, name)
            )
            optimizers.set_learning_rate(optimizer, rate * share)

    def _zero_gradients(self, name: str) -> None:
        self.optimizers[name].zero_grad(set_to_none=True)

    def _update(self, name: str) -> None:
        collectives.average_gradients(getattr(self, name), self.share)
        self.optimizers[name].step()

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as plain tensors and numbers."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: optimizers.state(each) for name, each in self.optimizers.items()},
            "heads": None if self.features is None else self.heads.state_dict(),
            "step": self.step,
            "before": self.parent_images,
            "before_of_set": self.parent_images_of_set,
            "lineage": list(self.lineage),
            "slowed": self.rate_factor,
            "before_heads": self.images_before_heads,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load what `state()` returned."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        heads = state.get("heads")  # none in snapshots without frozen features
        if self.features is not None and heads is not None:
            self.heads.load_state_dict(heads)
        has_heads = self.features is None or heads is not None
        for name, optimizer in self.optimizers.items():
            if name in state["optimizers"]:
                optimizers.load_state(optimizer, state["optimizers"][name])
        # The optimisers' tensors are others now.
        self.execution.reset()
        self.step = state["step"]
        # Snapshots of version 0.1.0 lack these two.
        self.parent_images = state.get("before", 0)
        self.rate_factor = state.get("slowed", 1.0)
        # Without these, a child counted its parent's images as passes over its own set.
        self.parent_images_of_set = state.get("before_of_set", self.parent_images)
        self.images_before_heads = state.get("before_heads", 0) if has_heads else self.images
        self._inherit(tuple(state.get("lineage", [])))

    def with_own_intervals(self, state: dict[str, Any]) -> dict[str, Any]:
        """What `state()` returned in a run on another set, whose labels are as frequent as here."""
        own = self.state()
        generators = {
            name: label_extension.with_intervals_of(own[name], state[name])
            for name in ("generator", "average")
        }
        return {**state, **generators}

    def with_new_labels(self, state: dict[str, Any]) -> dict[str, Any]:
        """What `state()` returned in a run that lacks this one's last labels, made to fit."""
        own, old = self.state(), state
        extended_state: dict[str, Any] = {}
        for name in ("discriminator", "heads"):
            if old.get(name) is not None and own[name] is not None:
                extended_state[name] = label_extension.extend(old[name], own[name])
        extended_state["optimizers"] = {
            name: label_extension.extend_optimizer(old["optimizers"][name], _parameters(optimizer))
            for name, optimizer in self.optimizers.items()
            if name in old["optimizers"]
        }
        return {**self.with_own_intervals(old), **extended_state}

    def take_generator(self, weights: Weights) -> None:
        """Load a published generator, for labels that are as frequent as here."""
        for network in (self.generator, self.average):
            own_weights = label_extension.with_intervals_of(network.state_dict(), weights)
            # A bundle leaves out BatchNorm's counters, which nothing reads.
            network.load_state_dict(own_weights, strict=False)

    def take_discriminator(self, weights: Weights, heads: Weights) -> int:
        """Load a trained discriminator's tensors; how many fit.

        None are taken unless its convolutions fit, but other labels may leave out the layers that
        read and name them.
        """
        own = self.discriminator.state_dict()
        fitting = _fitting(weights, own)
        missing = [name for name in own if name not in fitting]
        self.images_before_heads = self.images
        if not fitting or any(name.split(".")[0] not in ("expected", "named") for name in missing):
            return 0
        self.discriminator.load_state_dict(fitting, strict=False)
        if self.features is not None:
            self.heads.load_state_dict(_fitting(heads, self.heads.state_dict()), strict=False)
            if heads:
                self.images_before_heads = 0
        return len(fitting)

    def begin(self, images: int, images_of_set: int = 0, parent: str | None = None) -> None:
        """Count steps from here.

        images: real images that the weights have seen already. images_of_set: those of them that
        belong to this set. parent: the run or model that the weights come from; every random
        stream then has another key.
        """
        self.parent_images, self.parent_images_of_set = images, images_of_set
        self.step, self.rate_factor = 0, 1.0
        self._inherit((*self.lineage, parent) if parent is not None else self.lineage)

    def _inherit(self, lineage: tuple[str, ...]) -> None:
        self.lineage = self.reals.lineage = lineage


def _parameters(optimizer: torch.optim.Adam) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


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
    """Slow Adam down by k/(k + 1) where a penalty acts every k steps (arXiv:1912.04958 App. B).

    There the penalty has optimiser steps of its own; here it joins the main loss, so nothing needs
    it. It stays, because runs must resume exactly and the rates were measured with it.
    """
    every = recipe.penalty_every if name == "discriminator" and recipe.gamma else 1
    return every / (every + 1) if every > 1 else 1.0


def _rate(recipe: Recipe, name: str) -> float:
    adam: Adam = getattr(recipe, name)
    return adam.learning_rate * _lazy(recipe, name)


def _adam(network: nn.Module, recipe: Recipe, name: str, device: torch.device) -> torch.optim.Adam:
    adam: Adam = getattr(recipe, name)
    ratio = _lazy(recipe, name)
    betas = adam.beta1**ratio, adam.beta2**ratio
    return optimizers.adam(network.parameters(), _rate(recipe, name), betas, device)
