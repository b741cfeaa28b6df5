"""The peer lightweight-gan (its package from the index, unchanged), as one arm of quality.py.

    python benchmarks/lightweight.py PACKED MINUTES COUNT OUT  # python: that of peers.trainer()

Trains on the packed set in the folder PACKED with the settings of its README (batch 32, no
accumulation), draws COUNT faces with its averaged generator, or with the generator itself where
it had no time to average, and saves OUT.npz: `faces` (COUNT, 64, 64, 3) uint8, and `images`, how
many it saw. The package asks for CUDA; without any, what it puts there stays on the CPU.
"""

import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch.overrides import TorchFunctionMode

CUDA = torch.cuda.is_available()
with mock.patch.object(torch.cuda, "is_available", return_value=True):  # asserted at its import
    from lightweight_gan import Trainer

SIDE, BATCH, LATENT = 64, 32, 256
NEVER = 10**9  # steps
AVERAGE_FROM = 20_000  # its average follows the generator from this step on; before, a rare copy


class OnCpu(TorchFunctionMode):
    """What is sent to CUDA stays where it is."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.cuda:
            return args[0]
        kwargs = dict(kwargs or {})
        if "cuda" in str(kwargs.get("device")):
            kwargs["device"] = "cpu"
        return func(*args, **kwargs)


def main(dataset: str, minutes: str, count: str, out: str) -> None:
    """Train, draw, save."""
    with tempfile.TemporaryDirectory() as folder, nullcontext() if CUDA else OnCpu():
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number, face in enumerate(np.load(Path(dataset) / "images.npy", mmap_mode="r")):
            Image.fromarray(face).save(pictures / f"{number:06}.png")
        trainer = Trainer(
            base_dir=folder,
            image_size=SIDE,
            latent_dim=LATENT,
            batch_size=BATCH,
            amp=CUDA,
            save_every=NEVER,
            evaluate_every=NEVER,
            use_aim=False,
        )
        trainer.set_data_src(pictures)
        steps, start = 0, time.monotonic()
        while time.monotonic() - start < float(minutes) * 60:
            trainer.train()
            steps += 1
        faces = draw(trainer.GAN.GE if steps > AVERAGE_FROM else trainer.GAN.G, int(count))
        np.savez(out, faces=faces, images=steps * BATCH)


@torch.no_grad()
def draw(generator: torch.nn.Module, count: int) -> np.ndarray:
    """(count, 64, 64, 3) uint8, without truncation."""
    torch.manual_seed(0)
    generator.eval()
    parts = []
    for start in range(0, count, BATCH):
        z = torch.randn(min(BATCH, count - start), LATENT).cuda()
        images = generator(z).float().clamp(0, 1).mul(255).round().to(torch.uint8)
        parts.append(images.permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
