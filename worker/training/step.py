"""One adversarial step: the discriminator's update, then the generator's, on the same images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.networks import modern
from worker.training.losses import gradient_penalty

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, 3, S, S) float32, and the one-hot labels (N, K) that they should show, if any."""

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Penalty:
    """γ/2·E[‖∇D‖²], weighted by the steps between two of them; for_fakes: R2 too."""

    gamma: float
    every: int
    for_fakes: bool


@dataclass(frozen=True)
class Step:
    """The two networks, their losses, and `descend`, which updates one of them by its loss."""

    generator: nn.Module
    discriminator: nn.Module
    discriminator_loss: Loss
    generator_loss: Loss
    descend: Callable[[str, Tensor], None]
    bf16: bool
    # (logits, labels) → the classification loss; None where the discriminator has no classifier.
    classify: Loss | None = None

    def draw(self, *latents: Tensor) -> Tensor:
        """Draw images (N, 3, S, S) float32 from latents, whatever the network computes in."""
        with torch.autocast(latents[0].device.type, torch.bfloat16, enabled=self.bf16):
            images: Tensor = self.generator(*latents)
        return images.float()

    def score(self, batch: LabelledImages) -> tuple[Tensor, Tensor | None]:
        """Scores (N,) float32, and logits (N, K) of the labels where there is a classifier."""
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=self.bf16):
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

    def _squared_slope(self, batch: LabelledImages) -> Tensor:
        """‖∇D‖² in the networks' precision, as in StyleGAN2-ADA; summed in float32."""

        def scores(images: Tensor) -> Tensor:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
                return self._discriminate(images, batch.labels)

        return gradient_penalty(scores, batch.images)

    def train_discriminator(
        self, real: LabelledImages, fake: LabelledImages, penalty: Penalty | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Update the discriminator. Returns the losses, and the scores of the real images."""
        self.discriminator.requires_grad_(True)
        fake = LabelledImages(fake.images.detach(), fake.labels)
        (real_score, logits), (fake_score, _) = self.score(real), self.score(fake)
        loss = self.discriminator_loss(real_score, fake_score)
        losses = {
            "d_loss": loss.detach(),
            "d_real": real_score.detach().mean(),
            "d_fake": fake_score.detach().mean(),
            # The share of pairs that it ranks correctly, which compares runs of different losses.
            "d_accuracy": (real_score > fake_score).float().mean(),
        }
        if penalty is not None:
            # Weighted for the steps that skip it (arXiv:1912.04958 App. B).
            losses["r1"] = r1 = self._squared_slope(real)
            slopes = r1
            if penalty.for_fakes:
                losses["r2"] = r2 = self._squared_slope(fake)
                slopes = r1 + r2
            loss = loss + penalty.gamma / 2 * penalty.every * slopes
        label_loss = self._label_loss(logits, real.labels)
        if label_loss is not None:
            # The classifier learns from real images alone: fakes may not show their labels.
            losses["d_missed"] = label_loss.detach()
            loss = loss + label_loss
        self.descend("discriminator", loss)
        return losses, real_score.detach()

    def train_generator(
        self, real_score: Tensor, fake: LabelledImages, feature_loss: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Update the generator. Returns the losses.

        feature_loss: of a second discriminator, weighted. The images and the real scores are those
        of the discriminator's update, which saves a fifth of a step on a CPU; the real scores are
        therefore one update old, which moves the loss's weight σ(real - fake) little.
        """
        # D's weights need no gradients here, which saves a third of its backward pass.
        self.discriminator.requires_grad_(False)
        score, logits = self.score(fake)
        loss = self.generator_loss(real_score, score)
        losses = {"g_loss": loss.detach()}
        label_loss = self._label_loss(logits, fake.labels)
        if label_loss is not None:
            losses["g_missed"] = label_loss.detach()
            loss = loss + label_loss
        if feature_loss is not None:
            losses["g_features"] = feature_loss.detach()
            loss = loss + feature_loss
        self.descend("generator", loss)
        return losses
