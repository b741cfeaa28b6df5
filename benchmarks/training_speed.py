"""How fast does `classic` train here, against the tutorial's loop written plainly?

    python benchmarks/training_speed.py [--seconds 20] [--rounds 3]

Both train the same two networks at a batch of 100 on the same images in memory, by turns, so
that what disturbs one disturbs the other. The plain loop has its defects of layout mended and
nothing else. `modern-64` is timed beside them. The last line ends in `classic`'s ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from models.faces.pixels import to_network
from models.networks import classic
from models.recipes.recipe import Recipe, resolve
from models.settings import Settings
from worker.datasets.source import Images
from worker.hardware.devices import uses_bf16
from worker.training.batches import Reals
from worker.training.trainer import Trainer

BATCH = 100


def main() -> None:
    """Time the three by turns and print images a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each arm in each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(Settings().parallel)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    random = np.random.default_rng(0)
    images = {
        side: random.integers(0, 256, (1_000, side, side, 3), dtype=np.uint8) for side in (64, 96)
    }
    arms = {
        "the tutorial's loop": (plain(images[96], device), BATCH),
        "classic": kao_step(resolve({"preset": "classic"}), images[96], device),
        "modern-64": kao_step(resolve({"preset": "modern-64"}), images[64], device),
    }
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(options.rounds):
        for name, (step, batch) in arms.items():
            rates[name].append(measure_rate(step, batch, options.seconds, device))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in middle.items():
        rounds = ", ".join(f"{each:.1f}" for each in rates[name])
        print(f"{name:20} {rate:7.1f} images/s  ({rounds})")
    base = middle["the tutorial's loop"]
    print(f"modern-64 over the tutorial's loop: {middle['modern-64'] / base:.2f}")
    print(f"classic over the tutorial's loop: {middle['classic'] / base:.2f}")


def plain(images: Images, device: torch.device) -> Callable[[], None]:
    """The tutorial's step, as its author would have written it once it ran."""
    generator, discriminator = classic.Generator().to(device), classic.Discriminator().to(device)
    criterion = nn.BCELoss()
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-4)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    data = to_network(torch.from_numpy(images)).contiguous()
    ones, zeros = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)

    def step() -> None:
        real = data[torch.randint(len(data), (BATCH,))].to(device)
        d_optimizer.zero_grad()
        real_loss = criterion(discriminator(real), ones)
        fake = generator(torch.randn(BATCH, 100, device=device))
        fake_loss = criterion(discriminator(fake.detach()), zeros)
        d_loss = real_loss + fake_loss
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        fake = generator(torch.randn(BATCH, 100, device=device))
        g_loss = criterion(discriminator(fake), ones)
        g_loss.backward()
        g_optimizer.step()
        # It printed both after every batch.
        d_loss.item(), g_loss.item()

    return step


def kao_step(
    recipe: Recipe, images: Images, device: torch.device
) -> tuple[Callable[[], object], int]:
    """A step of Kao's trainer, and its batch."""
    bf16 = uses_bf16(recipe, device)
    trainer = Trainer(recipe, Reals(images, recipe, device), device, bf16)
    return trainer.advance, recipe.batch


def measure_rate(
    step: Callable[[], object], batch: int, seconds: float, device: torch.device
) -> float:
    """Images a second."""
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps * batch / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
