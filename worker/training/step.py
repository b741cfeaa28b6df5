"""One adversarial step: the discriminators' updates, then the generator's, on the same images.

The same operations in the same order whatever the values are: no number is read back from the
device, and only the names of the inputs (`inputs.py`) decide what is done. So a GPU can replay it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.networks import modern
from worker.training import augmentation, matching
from worker.training.augmentation import Changes
from worker.training.batches import to_images
from worker.training.feature_discriminator import FeatureDiscriminator, Features
from worker.training.inputs import Inputs, split
from worker.training.losses import gradient_penalty
from worker.training.precision import autocast

Loss = Callable[[Tensor, Tensor], Tensor]
Losses = dict[str, Tensor]  # scalars on the device


class LabelledImages(NamedTuple):
    """Images (N, 3, S, S) float32, and the one-hot labels (N, K) that they should show, if any."""

    images: Tensor
    labels: Tensor | None = None


class Views(NamedTuple):
    """The images of a step, and as the discriminators see them: augmented, with noise.

    faces, originals: (N, 3, S, S), drawn and real, before augmentation and noise.
    real_features, fake_features: what the frozen features see, None without them.
    """

    faces: Tensor
    originals: Tensor
    real: LabelledImages
    fake: LabelledImages
    real_features: LabelledImages | None = None
    fake_features: LabelledImages | None = None


@dataclass(frozen=True)
class Step:
    """The networks and their losses.

    zero_gradients: of the network with this name. update: applies to it the gradients that were
    added up since. noise: its standard deviation, in units of [-1, 1]. accumulation: micro-batches
    of a step.
    """

    generator: nn.Module
    discriminator: nn.Module
    discriminator_loss: Loss
    generator_loss: Loss
    zero_gradients: Callable[[str], None]
    update: Callable[[str], None]
    bf16: bool
    features: FeatureDiscriminator | None = None
    # (logits, labels) → the classification loss; None where the discriminator has no classifier.
    classify: Loss | None = None
    penalises_fakes: bool = False
    noise: float = 0.0
    accumulation: int = 1
    match_weight: float = 0.0

    def run(self, inputs: Inputs) -> Losses:
        """Train all networks on one batch; the losses, averaged over the micro-batches.

        A micro-batch's drawn images are kept from the discriminator's turn to the generator's
        where there is only one, and drawn again where there are several: one graph at a time.
        """
        parts = split(inputs, self.accumulation)
        views_of_parts = [self.views(parts[0])] if len(parts) == 1 else None
        losses: list[Losses] = [{} for _ in parts]
        real_scores = self._train_discriminator(parts, views_of_parts, losses)
        features = self._train_heads(parts, views_of_parts, losses) if self.features else None
        self._train_generator(parts, views_of_parts, real_scores, features, losses)
        return _mean(losses)

    def _train_discriminator(
        self, parts: Sequence[Inputs], views_of_parts: Sequence[Views] | None, losses: list[Losses]
    ) -> list[Tensor]:
        """Update the discriminator; the scores of the real images."""
        self.zero_gradients("discriminator")
        real_scores = []
        for place, part in enumerate(parts):
            views = views_of_parts[place] if views_of_parts else self._views_without_graph(part)
            loss, real_score = self.discriminator_objective(
                views, part.get("penalty"), losses[place]
            )
            self._backward(loss)
            real_scores.append(real_score)
            # Different latents that give one image are a collapse, whatever the losses are.
            # Measured before augmentation, which makes even equal images differ.
            losses[place]["diversity"] = views.faces.detach().std(0).mean()
        self.update("discriminator")
        return real_scores

    def _train_heads(
        self, parts: Sequence[Inputs], views_of_parts: Sequence[Views] | None, losses: list[Losses]
    ) -> Features | None:
        """Update the heads; the drawn images' features, where their graph is kept."""
        assert self.features is not None
        self.zero_gradients("heads")
        fake_features: Features = []
        for place, part in enumerate(parts):
            views = views_of_parts[place] if views_of_parts else self._views_without_graph(part)
            assert views.real_features is not None
            assert views.fake_features is not None
            loss, fake_features = self.features.loss(views.real_features, views.fake_features)
            self._backward(loss)
            losses[place]["feature_loss"] = loss.detach()
        self.update("heads")
        return fake_features if views_of_parts else None

    def _train_generator(
        self,
        parts: Sequence[Inputs],
        views_of_parts: Sequence[Views] | None,
        real_scores: Sequence[Tensor],
        fake_features: Features | None,
        losses: list[Losses],
    ) -> None:
        self.zero_gradients("generator")
        for place, part in enumerate(parts):
            views = views_of_parts[place] if views_of_parts else self.views(part)
            feature_loss = self._feature_loss(views, fake_features, part)
            loss = self.generator_objective(
                views.fake, real_scores[place], feature_loss, losses[place]
            )
            if self.match_weight:
                distance = matching.distance(views.faces, views.originals)
                losses[place]["g_distance"] = distance.detach()
                loss = loss + self.match_weight * distance
            self._backward(loss)
        self.update("generator")

    def _feature_loss(
        self, views: Views, fake_features: Features | None, part: Inputs
    ) -> Tensor | None:
        """The heads' loss of the drawn images, weighted; None without heads."""
        if self.features is None or views.fake_features is None:
            return None
        images, labels = views.fake_features
        if fake_features is None:
            fake_features = self.features.trunk(images)
        return part["feature_weight"] * self.features.generator_loss(fake_features, labels)

    def _backward(self, loss: Tensor) -> None:
        torch.autograd.backward(loss if self.accumulation == 1 else loss / self.accumulation)

    def draw(self, *latents: Tensor) -> Tensor:
        """Draw images (N, 3, S, S) float32 from latents, whatever the network computes in."""
        with autocast(latents[0].device, self.bf16):
            images: Tensor = self.generator(*latents)
        return images.float()

    def _views_without_graph(self, inputs: Inputs) -> Views:
        with torch.no_grad():
            return self.views(inputs)

    def views(self, inputs: Inputs) -> Views:
        """Draw images, and change them and the real ones as the inputs say."""
        latents = [inputs[name] for name in ("z", "other", "cut") if name in inputs]
        fakes = self.draw(*latents)
        real = to_images(inputs["pixels"], inputs.get("mirror"))
        images, labels = (real, fakes), (inputs.get("labels"), self.labels_of(latents[0]))
        views = [
            LabelledImages(self._add_noise(self._change(image, side, inputs), side, inputs), each)
            for side, image, each in zip(("real", "fake"), images, labels, strict=True)
        ]
        if self.features is not None:
            views += [
                LabelledImages(self._change(image, f"{side} features", inputs), each)
                for side, image, each in zip(("real", "fake"), images, labels, strict=True)
            ]
        return Views(fakes, real, *views)

    def _change(self, images: Tensor, purpose: str, inputs: Inputs) -> Tensor:
        """The images augmented, where the inputs have changes for this purpose."""
        if f"{purpose}.shift" not in inputs:
            return images
        names = Changes.__annotations__
        changes = Changes(**{name: inputs[f"{purpose}.{name}"] for name in names})
        return augmentation.apply(images, changes)

    def _add_noise(self, images: Tensor, side: str, inputs: Inputs) -> Tensor:
        """Noise that hides grain of a level or two.

        A discriminator that sees such grain learns little else. Real and fake images get noise of
        the same distribution, so that it removes no difference between the two for good
        (arXiv:1610.04490 §2).
        """
        if f"{side}.noise" not in inputs:
            return images
        return images + inputs[f"{side}.noise"] * self.noise

    def labels_of(self, z: Tensor) -> Tensor | None:
        """The one-hot labels (N, K) that latents z (N, latent) select; None without labels."""
        mapping: Any = self.generator.mapping if isinstance(self.generator, modern.Generator) else 0
        return mapping.labels(z) if mapping and mapping.selector_columns else None

    def score(self, batch: LabelledImages) -> tuple[Tensor, Tensor | None]:
        """Scores (N,) float32, and logits (N, K) of the labels where there is a classifier."""
        with autocast(batch.images.device, self.bf16):
            if self.classify is None:
                return self._discriminate(batch.images, batch.labels).float(), None
            assert isinstance(self.discriminator, modern.Discriminator)
            scores, logits = self.discriminator.read(batch.images, batch.labels)
        return scores.float(), logits

    def _label_loss(self, logits: Tensor | None, labels: Tensor | None) -> Tensor | None:
        if self.classify is None or logits is None or labels is None:
            return None
        return self.classify(logits.float(), labels)

    def _discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        # Networks without labels take none.
        scores: Tensor = self.discriminator(images, *([] if labels is None else [labels]))
        return scores

    def squared_slope(self, batch: LabelledImages) -> Tensor:
        """E[‖∇D‖²], a scalar: in the networks' precision (StyleGAN2-ADA), summed in float32."""

        def scores(images: Tensor) -> Tensor:
            with autocast(images.device, self.bf16):
                return self._discriminate(images, batch.labels)

        return gradient_penalty(scores, batch.images)

    def discriminator_objective(
        self, views: Views, penalty: Tensor | None, losses: Losses
    ) -> tuple[Tensor, Tensor]:
        """The sum of the discriminator's losses, and the scores of the real images.

        penalty: γ/2 times the steps between two penalties (lazy regularisation,
        arXiv:1912.04958 App. B), a scalar; None in the steps between. losses: gets the parts.
        """
        self.discriminator.requires_grad_(True)
        real, fake = views.real, LabelledImages(views.fake.images.detach(), views.fake.labels)
        (real_score, logits), (fake_score, _) = self.score(real), self.score(fake)
        loss = self.discriminator_loss(real_score, fake_score)
        losses.update(
            {
                "d_loss": loss.detach(),
                "d_real": real_score.detach().mean(),
                "d_fake": fake_score.detach().mean(),
                # The share of pairs that it ranks correctly: comparable between losses.
                "d_accuracy": (real_score > fake_score).float().mean(),
            }
        )
        if penalty is not None:
            losses["r1"] = r1 = self.squared_slope(real)
            slopes = r1
            if self.penalises_fakes:
                losses["r2"] = r2 = self.squared_slope(fake)
                slopes = r1 + r2
            loss = loss + penalty * slopes
        label_loss = self._label_loss(logits, real.labels)
        if label_loss is not None:
            # The classifier learns from real images alone: fakes may not show their labels.
            losses["d_missed"] = label_loss.detach()
            loss = loss + label_loss
        return loss, real_score.detach()

    def generator_objective(
        self,
        fake: LabelledImages,
        real_score: Tensor,
        feature_loss: Tensor | None,
        losses: Losses,
    ) -> Tensor:
        """The sum of the generator's losses.

        feature_loss: of a second discriminator, weighted. The real scores are those of the
        discriminator's update, which saves a fifth of a step on a CPU; they are one update old,
        which moves the loss's weight σ(real - fake) little.
        """
        # D's weights need no gradients here, which saves a third of its backward pass.
        self.discriminator.requires_grad_(False)
        score, logits = self.score(fake)
        loss = self.generator_loss(real_score, score)
        losses["g_loss"] = loss.detach()
        label_loss = self._label_loss(logits, fake.labels)
        if label_loss is not None:
            losses["g_missed"] = label_loss.detach()
            loss = loss + label_loss
        if feature_loss is not None:
            losses["g_features"] = feature_loss.detach()
            loss = loss + feature_loss
        return loss


def _mean(losses: Sequence[Losses]) -> Losses:
    if len(losses) == 1:
        (only,) = losses
        return {name: value.detach() for name, value in only.items()}
    return {
        name: torch.stack([each[name].detach() for each in losses]).mean() for name in losses[0]
    }
