"""Bundles with an enlarger of random weights, which draws what no resizing does."""

import shutil
from pathlib import Path

import torch

from models import bundle
from models.networks.enlarger import Enlarger
from worker.publishing import bundle_writer, onnx_export


def add_enlarger(source: Path, target: Path, scale: int = 4, card_scale: int | None = None) -> Path:
    """Copy a bundle's folder and give the copy an enlarger, and a card that may lie about it."""
    shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
    card = bundle.Card.model_validate(bundle.read_card(target))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Enlarger(scale, 8, 1, fold=2)
        torch.nn.init.normal_(network.last.weight, std=0.1)
    onnx_export.export_enlarger(network, card.network.resolution, target)
    enlargement = bundle.Enlargement(
        scale=4 if (card_scale or scale) == 4 else 2,
        dataset="starter",
        pictures=64,
        steps=0,
        seconds=0.0,
        psnr=20.0,
        psnr_without=19.0,
    )
    bundle_writer.write_card(target, card.model_copy(update={"enlarger": enlargement}))
    return target
