"""One adversarial step, and the state that makes it resumable bit for bit.

Every draw of a step comes from a generator seeded by (run seed, step): a resumed run needs
no random state but the step's number, and no draw shifts another (edm2's habit).
"""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from models.networks import build
from models.recipes import Recipe
from worker.training import ema
from worker.training.losses import LOSSES, r1

Losses = dict[str, float]


def draws(seed: int, *keys: object) -> torch.Generator:
    """A CPU random generator that depends on nothing but the seed and the keys."""
    digest = hashlib.sha256(":".join(map(str, (seed, *keys))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Trainer:
    """The two networks, their optimisers, the averaged generator, and how far they are."""

    def __init__(self, recipe: Recipe, data: Tensor, device: torch.device, bf16: bool) -> None:
        """data: (N, S, S, 3) uint8, on the CPU or the device."""
        self.recipe, self.data, self.device, self.bf16 = recipe, data, device, bf16
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(draws(recipe.seed, "weights").initial_seed())
            g, d = build.generator(recipe), build.discriminator(recipe)
        self.generator, self.discriminator = _placed(g, device), _placed(d, device)
        self.average = ema.averaged(self.generator)
        self.decay = ema.decay(recipe.batch, recipe.ema_images)
        self.optimizers = {
            "generator": _adam(self.generator, recipe, "generator"),
            "discriminator": _adam(self.discriminator, recipe, "discriminator"),
        }
        self.discriminator_loss, self.generator_loss = LOSSES[recipe.loss]
        self.step = 0

    @property
    def images(self) -> int:
        """Real images seen."""
        return self.step * self.recipe.batch

    @property
    def epoch(self) -> int:
        """Whole passes over the set."""
        return self.step // self.steps_per_epoch

    @property
    def steps_per_epoch(self) -> int:
        """The last, partial batch of a pass is left out, as the tutorial did."""
        return max(1, self.data.shape[0] // self.recipe.batch)

    def reals(self) -> Tensor:
        """The step's batch: (B, 3, S, S) float32 in [-1, 1], each image once a pass."""
        epoch, position = divmod(self.step, self.steps_per_epoch)
        count, batch = self.data.shape[0], self.recipe.batch
        order = torch.randperm(count, generator=draws(self.recipe.seed, "order", epoch))
        # A set smaller than a batch is repeated within it.
        chosen = order[torch.arange(position * batch, (position + 1) * batch) % count]
        images = self.data[chosen.to(self.data.device)].to(self.device, non_blocking=True)
        images = images.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        if self.recipe.flip:
            mirrored = torch.rand(batch, generator=draws(self.recipe.seed, "flip", self.step)) < 0.5
            images = torch.where(
                mirrored.to(self.device)[:, None, None, None], images.flip(3), images
            )
        return images.contiguous(memory_format=torch.channels_last)

    def latents(self) -> Tensor:
        """The step's z: (B, latent) float32, standard normal."""
        shape = (self.recipe.batch, self.recipe.latent)
        return torch.randn(shape, generator=draws(self.recipe.seed, "latents", self.step)).to(
            self.device
        )

    def advance(self) -> Losses:
        """Train the discriminator on one batch, then the generator; returns what was measured.

        Both see the same fakes, and the real scores are those of the discriminator's turn:
        on a CPU this saves a fifth of a step.
        """
        real, fake = self.reals(), self._draw(self.latents())
        measured, real_score = self._train_discriminator(real, fake.detach())
        measured["g_loss"] = self._train_generator(real_score, fake)
        self.step += 1
        # Early on, a long memory would only remember the random start.
        ema.update(self.average, self.generator, min(self.decay, self.step / (self.step + 10)))
        return {name: value.item() for name, value in measured.items()}

    def _train_discriminator(self, real: Tensor, fake: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        self.discriminator.requires_grad_(True)
        real_score, fake_score = self._score(real), self._score(fake)
        loss = self.discriminator_loss(real_score, fake_score)
        measured = {
            "d_loss": loss.detach(),
            "d_real": real_score.detach().mean(),
            "d_fake": fake_score.detach().mean(),
            # The share of pairs told apart: what shows who is winning, whatever the loss.
            "d_accuracy": (real_score > fake_score).float().mean(),
            # Varied latents that give one image are a collapse, whatever the losses say.
            "diversity": fake.std(0).mean(),
        }
        if self.recipe.gamma and self.step % self.recipe.penalty_every == 0:
            # In float32, and weighted for the steps that skip it (arXiv:1912.04958 App. B).
            penalty = r1(self.discriminator, real)
            loss = loss + self.recipe.gamma / 2 * self.recipe.penalty_every * penalty
            measured["r1"] = penalty.detach()
        self._descend("discriminator", loss)
        return measured, real_score.detach()

    def _train_generator(self, real_score: Tensor, fake: Tensor) -> Tensor:
        # Its weights need no gradients now, which spares a third of D's backward pass.
        self.discriminator.requires_grad_(False)
        loss = self.generator_loss(real_score, self._score(fake))
        self._descend("generator", loss)
        return loss.detach()

    def _draw(self, z: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            images: Tensor = self.generator(z)
        return images.float()

    def _score(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            scores: Tensor = self.discriminator(images)
        return scores.float()

    def _descend(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()

    def state(self) -> dict[str, Any]:
        """All that a resume needs; plain tensors and numbers."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "step": self.step,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.step = state["step"]


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    network = network.to(device)
    for parameter in network.parameters():
        if parameter.dim() == 4:
            # Convolutions on a CPU run up to three times faster so.
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _adam(network: nn.Module, recipe: Recipe, name: str) -> torch.optim.Adam:
    settings = recipe.generator if name == "generator" else recipe.discriminator
    # A lazy penalty acts every k steps; StyleGAN2 slows Adam to match (arXiv:1912.04958 App. B).
    lazy = recipe.penalty_every if name == "discriminator" and recipe.gamma else 1
    ratio = lazy / (lazy + 1) if lazy > 1 else 1.0
    return torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate * ratio,
        betas=(settings.beta1**ratio, settings.beta2**ratio),
        fused=True,
    )
