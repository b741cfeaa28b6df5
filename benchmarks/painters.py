"""The two ways in which a peer may draw, so that each peer is written once.

`torch`: as its documentation has one write it, PyTorch's eager mode and Pillow's PNG.
`graph`: our ONNX graph and our encoder. Both draw the same face for a seed.
"""

import io
import os

import harness
import numpy as np
from numpy.typing import NDArray

from app.avatars.encode import still
from models import bundle
from models.faces import latents
from models.faces.pixels import to_pixels
from models.faces.resizing import resize
from models.recipes.recipe import Recipe

SIZE = 128
BATCH = int(os.environ.get("PEER_BATCH", "1"))
Pixels = NDArray[np.uint8]


class Graph:
    """ONNX Runtime, and the encoder that Kao uses."""

    def __init__(self) -> None:
        self._drawer = harness.drawer()

    def draw(self, seeds: list[str]) -> Pixels:
        """(N, 64, 64, 3)."""
        return self._drawer.draw(_latents(seeds, self._drawer.card), 1.0)

    def encode(self, pixels: Pixels) -> bytes:
        """A PNG of 128 px."""
        return still.encode(pixels, SIZE, "png")


class Torch:
    """PyTorch and Pillow."""

    def __init__(self) -> None:
        import torch
        from safetensors.torch import load_file

        from models.networks import build

        torch.set_num_threads(1)
        folder = harness.model()
        self._torch = torch
        self._card = bundle.Card.model_validate(bundle.read_card(folder))
        recipe = Recipe.model_validate(self._card.recipe)
        self._network = build.generator(recipe, self._card.attributes).eval()
        # BatchNorm's count of batches is no weight, and the file leaves it out.
        self._network.load_state_dict(load_file(folder / bundle.WEIGHTS), strict=False)

    def draw(self, seeds: list[str]) -> Pixels:
        """(N, 64, 64, 3)."""
        with self._torch.inference_mode():
            images = self._network(self._torch.from_numpy(_latents(seeds, self._card)))
        return np.asarray(to_pixels(images))

    def encode(self, pixels: Pixels) -> bytes:
        """A PNG of 128 px."""
        target = io.BytesIO()
        resize(np.ascontiguousarray(pixels), SIZE).save(target, "PNG")
        return target.getvalue()


def _latents(seeds: list[str], card: bundle.Card) -> NDArray[np.float32]:
    return np.stack([latents.derive(seed, card.network.latent) for seed in seeds])


def painter() -> Graph | Torch:
    """The one that PEER_PAINTER names."""
    return Graph() if os.environ["PEER_PAINTER"] == "graph" else Torch()
