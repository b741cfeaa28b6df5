"""The peer lightweight-gan (its package from the index, unchanged), as one arm of quality.py.

    python benchmarks/lightweight.py PACKED MINUTES COUNT OUT

Trains on the packed set in the folder PACKED with the settings of its README (batch 32, no
accumulation), draws COUNT faces with its averaged generator and saves OUT.npz: `faces`
(COUNT, 64, 64, 3) uint8, and `images`, how many it saw. It needs CUDA and torchvision.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightweight_gan import Trainer  # type: ignore[import-not-found]
from PIL import Image

SIDE, BATCH, LATENT = 64, 32, 256
NEVER = 10**9  # steps


def main(packed: str, minutes: str, count: str, out: str) -> None:
    """Train, draw, save."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for number, face in enumerate(np.load(Path(packed) / "images.npy", mmap_mode="r")):
            Image.fromarray(face).save(pictures / f"{number:06}.png")
        trainer = Trainer(
            base_dir=folder,
            image_size=SIDE,
            latent_dim=LATENT,
            batch_size=BATCH,
            amp=True,
            save_every=NEVER,
            evaluate_every=NEVER,
            use_aim=False,
        )
        trainer.set_data_src(pictures)
        steps, began = 0, time.monotonic()
        while time.monotonic() - began < float(minutes) * 60:
            trainer.train()
            steps += 1
        np.savez(out, faces=draw(trainer, int(count)), images=steps * BATCH)


@torch.no_grad()
def draw(trainer: Trainer, count: int) -> np.ndarray:
    """(count, 64, 64, 3) uint8, without truncation."""
    torch.manual_seed(0)
    averaged = trainer.GAN.GE.eval()
    parts = []
    for start in range(0, count, BATCH):
        z = torch.randn(min(BATCH, count - start), LATENT).cuda()
        images = averaged(z).float().clamp(0, 1).mul(255).round().to(torch.uint8)
        parts.append(images.permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
