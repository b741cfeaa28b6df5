"""What a face must look like: drawn here, from copies of the models that no fault can reach."""

import hashlib
import threading
from functools import lru_cache
from pathlib import Path

import torch

from app.avatars import service, traits
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models import bundle
from models.bundle.generator import Drawer
from models.bundle.verify import verify
from models.networks import build
from models.recipes.recipe import resolve
from models.registry import Registry
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import write

LOOK = {"size": "32", "format": "png"}


def write_bundles(folder: Path, count: int) -> list[Path]:
    """Small models of random weights, each another one."""
    recipe = resolve({"preset": "smoke", "sliders": False})
    folders = []
    for seed in range(count):
        torch.manual_seed(seed)
        generator = build.generator(recipe)
        generator(torch.randn(16, recipe.latent))  # its statistics
        target = folder / str(seed)
        target.mkdir(parents=True)
        source = PackedDataset(
            target, "starter", "0" * 64, "CC0-1.0", "nobody", 64, recipe.resolution
        )
        training = bundle.Training(images=seed, seconds=1.0, device="CPU")
        write(target, generator.eval(), recipe, source, training, None)
        folders.append(target)
    return folders


class References:
    """Digests of the faces of every version, from the registry that is reached without links."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._lock = registry, threading.Lock()
        self._drawers: dict[str, Drawer] = {}
        self._digest = lru_cache(10_000)(self._draw)

    def add(self, folder: Path) -> str:
        """Keep a bundle in memory; its version."""
        version = bundle.digest(folder)
        self._drawers[version] = verify(folder, version)
        return version

    def face(self, version: str, seed: str, model: str) -> str:
        """The SHA-256 of a face, as requested by that name of its model."""
        with self._lock:
            return self._digest(version, seed, model)

    def _draw(self, version: str, seed: str, model: str) -> str:
        if version not in self._drawers:
            self._drawers[version] = self._registry.load(version)
        drawer = self._drawers[version]
        request = PictureRequest.parse(AVATAR, {**LOOK, "seed": seed, "model": model})
        request = traits.resolve(request, drawer.card)
        return hashlib.sha256(service.render_alone(drawer, version, request)).hexdigest()
