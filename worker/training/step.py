"""One adversarial step: the discriminator's turn, then the generator's, on the same images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.networks import modern
from worker.training.losses import gradient_penalty

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Judged:
    """Images (N, 3, S, S) float32, and the labels (N, K) that they should show, if any."""

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class Penalty:
    """γ/2·E[‖∇D‖²], times the steps between two of them; `drawn`: at drawn images too."""

    gamma: float
    every: int
    drawn: bool


@dataclass(frozen=True)
class Step:
    """The two networks and how each descends."""

    generator: nn.Module
    discriminator: nn.Module
    discriminator_loss: Loss
    generator_loss: Loss
    descend: Callable[[str, Tensor], None]
    bf16: bool
    # (logits, labels) → the loss for labels missed; none where the discriminator does not name.
    missed: Loss | None = None

    def draw(self, *latents: Tensor) -> Tensor:
        """Latents to images; float32, whatever the network computed in."""
        with torch.autocast(latents[0].device.type, torch.bfloat16, enabled=self.bf16):
            images: Tensor = self.generator(*latents)
        return images.float()

    def judge(self, judged: Judged) -> tuple[Tensor, Tensor | None]:
        """Scores (N,) float32; and logits (N, K) of what is seen, where the discriminator names."""
        with torch.autocast(judged.images.device.type, torch.bfloat16, enabled=self.bf16):
            if self.missed is None:
                return self._discriminate(judged.images, judged.labels).float(), None
            assert isinstance(self.discriminator, modern.Discriminator)
            scores, logits = self.discriminator.read(judged.images, judged.labels)
        return scores.float(), logits

    def _missed(self, logits: Tensor | None, labels: Tensor | None) -> Tensor | None:
        if self.missed is None or logits is None or labels is None:
            return None
        return self.missed(logits.float(), labels)

    def _discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        # Networks without labels take none.
        scores: Tensor = self.discriminator(images, *([] if labels is None else [labels]))
        return scores

    def _slope(self, judged: Judged) -> Tensor:
        """In the networks' precision (as StyleGAN2-ADA does); summed in float32."""

        def scores(images: Tensor) -> Tensor:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
                return self._discriminate(images, judged.labels)

        return gradient_penalty(scores, judged.images)

    def train_discriminator(
        self, real: Judged, fake: Judged, penalty: Penalty | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Returns what was measured, and the real scores."""
        self.discriminator.requires_grad_(True)
        fake = Judged(fake.images.detach(), fake.labels)
        (real_score, logits), (fake_score, _) = self.judge(real), self.judge(fake)
        loss = self.discriminator_loss(real_score, fake_score)
        measured = {
            "d_loss": loss.detach(),
            "d_real": real_score.detach().mean(),
            "d_fake": fake_score.detach().mean(),
            # The share of pairs told apart: what shows who is winning, whatever the loss.
            "d_accuracy": (real_score > fake_score).float().mean(),
        }
        if penalty is not None:
            # Weighted for the steps that skip it (arXiv:1912.04958 App. B).
            measured["r1"] = r1 = self._slope(real)
            slopes = r1
            if penalty.drawn:
                measured["r2"] = r2 = self._slope(fake)
                slopes = r1 + r2
            loss = loss + penalty.gamma / 2 * penalty.every * slopes
        missed = self._missed(logits, real.labels)
        if missed is not None:
            # It learns the labels' look from real images alone: drawn ones may not show theirs.
            measured["d_missed"] = missed.detach()
            loss = loss + missed
        self.descend("discriminator", loss)
        return measured, real_score.detach()

    def train_generator(
        self, real_score: Tensor, fake: Judged, feature_loss: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns what was measured. feature_loss: weighted, of a second discriminator.

        Through the same images and real scores: on a CPU this saves a fifth of a step.
        """
        # D's weights need no gradients now, which spares a third of its backward pass.
        self.discriminator.requires_grad_(False)
        score, logits = self.judge(fake)
        loss = self.generator_loss(real_score, score)
        measured = {"g_loss": loss.detach()}
        missed = self._missed(logits, fake.labels)
        if missed is not None:
            measured["g_missed"] = missed.detach()
            loss = loss + missed
        if feature_loss is not None:
            measured["g_features"] = feature_loss.detach()
            loss = loss + feature_loss
        self.descend("generator", loss)
        return measured
