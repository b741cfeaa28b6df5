"""A second discriminator: small trained heads on frozen features.

Projected GAN (arXiv:2111.01007) and vision-aided GAN (arXiv:2112.09130): what a network knows from
other pictures judges shapes and lines from the first step on. It stands beside the trained
discriminator, never in its place: alone, such heads let the generator collapse to a few faces
(docs/experiments.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from models.networks.modern import SLOPE, spread
from worker.training.frozen_features import TAPS, Trunk
from worker.training.precision import autocast

CHANNELS = 64  # of the fixed random projection and of the heads
RAMP = 10_000  # images until the heads' weight is full: untrained heads would mislead
LEARNING_RATE, BETAS = 4e-4, (0.0, 0.99)

Features = Sequence[Tensor]


class Head(nn.Module):
    """Features (N, C, S, S) of one stride → scores (N, places); higher looks more real.

    A fixed random projection spreads the judgement over all channels, where a trained one would
    pick a few (arXiv:2111.01007 §3.2). Spectral norms bound the slopes, so no penalty is needed.
    With labels (N, labels) it judges whether a face shows them (projection, arXiv:1802.05637 §3).
    """

    def __init__(self, channels: int, stride: int, labels: int = 0) -> None:
        super().__init__()
        self.project = nn.Conv2d(channels, CHANNELS, 1, bias=False)
        nn.init.kaiming_normal_(self.project.weight)
        self.first = spectral_norm(nn.Conv2d(CHANNELS + 1, CHANNELS, 3, stride, 1))
        self.second = spectral_norm(nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1))
        self.score = spectral_norm(nn.Conv2d(CHANNELS, 1, 1))
        self.expected = spectral_norm(nn.Linear(labels, CHANNELS, bias=False)) if labels else None

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.project(features)
        x = torch.cat([x, spread(x)], dim=1)
        x = F.leaky_relu(self.first(x), SLOPE)
        x = F.leaky_relu(self.second(x), SLOPE)
        scores: Tensor = self.score(x)
        if self.expected is not None and labels is not None:
            match = (self.expected(labels)[:, :, None, None] * x).sum(1, keepdim=True)
            scores = scores + match / CHANNELS**0.5
        return scores.flatten(1).float()


class Heads(nn.Module):
    """One head a stride; the deepest one judges the labels too."""

    def __init__(self, labels: int = 0) -> None:
        super().__init__()
        *shallow, deepest = TAPS.values()
        self.heads = nn.ModuleList(Head(channels, stride=2) for channels in shallow)
        self.heads.append(Head(deepest, stride=1, labels=labels))
        self.train_weights(True)

    def forward(self, features: Features, labels: Tensor | None = None) -> list[Tensor]:
        return [head(tap, labels) for head, tap in zip(self.heads, features, strict=True)]

    def train_weights(self, requires_gradients: bool) -> None:
        """Let gradients reach the heads' weights or not; never those of the fixed projections."""
        self.requires_grad_(requires_gradients)
        for head in self.heads:
            assert isinstance(head, Head)
            head.project.requires_grad_(False)


@dataclass(frozen=True)
class FeatureDiscriminator:
    """The frozen trunk and its heads."""

    trunk: Trunk
    heads: Heads
    bf16: bool

    def loss(
        self,
        real: tuple[Tensor, Tensor | None],
        fake: tuple[Tensor, Tensor | None],
    ) -> tuple[Tensor, Features]:
        """The heads' loss, and the fake images' features.

        real, fake: images (N, 3, S, S) and their labels (N, K).

        The features keep their graph to the generator, which spares its turn a pass of the trunk.
        """
        (real_images, real_labels), (fake_images, fake_labels) = real, fake
        with torch.no_grad():
            real_features = self.trunk(real_images)
        fake_features = self.trunk(fake_images)
        self.heads.train_weights(True)
        loss = discriminator_loss(
            self._judge(real_features, real_labels),
            self._judge([each.detach() for each in fake_features], fake_labels),
        )
        return loss, fake_features

    def generator_loss(self, fake_features: Features, labels: Tensor | None) -> Tensor:
        """The generator's loss by the heads' scores of its images."""
        self.heads.train_weights(False)
        return generator_loss(self._judge(fake_features, labels))

    def _judge(self, features: Features, labels: Tensor | None) -> list[Tensor]:
        with autocast(features[0].device, self.bf16):
            scores: list[Tensor] = self.heads(features, labels)
        return scores


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], the mean of the heads (arXiv:1705.02894).

    real, fake: (N, places) scores of each head.
    """
    pairs = zip(real, fake, strict=True)
    losses = [F.relu(1 - one).mean() + F.relu(1 + other).mean() for one, other in pairs]
    return torch.stack(losses).mean()


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """-E[D(G(z))], the mean of the heads (arXiv:1705.02894). fake: (N, places) of each head."""
    return -torch.stack([scores.mean() for scores in fake]).mean()


def ramp(images: int) -> float:
    """The share of the heads' weight that counts after so many images, 0 to 1."""
    return min(1.0, images / RAMP)
