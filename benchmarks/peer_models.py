"""The shipped model as a peer draws with it: one class a way of drawing, for all peers.

`torch`: as its documentation has one write it, PyTorch's eager mode and Pillow's PNG.
`graph`: our ONNX graphs and our encoder. Both draw the same face for a seed, and a model's enlarger
draws what is larger than its network's resolution.
"""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import harness
import numpy as np
from numpy.typing import NDArray

from app.avatars.encode import still
from models import bundle
from models.faces import latents
from models.faces.pixels import to_network, to_pixels
from models.faces.resizing import reduce, resize
from models.recipes.recipe import Recipe

if TYPE_CHECKING:  # so that Graph does not load torch
    from torch import Tensor, nn

SIZE = int(os.environ.get("PEER_SIZE", "128"))  # pixels a side of a picture
BATCH = int(os.environ.get("PEER_BATCH", "1"))
Pixels = NDArray[np.uint8]


class Graph:
    """ONNX Runtime, and the encoder that Kao uses."""

    def __init__(self) -> None:
        self._drawer = harness.drawer()

    def draw(self, seeds: list[str]) -> Pixels:
        """(N, SIZE, SIZE, 3)."""
        card = self._drawer.card
        return self._drawer.draw_at(_latents(seeds, card), card.psi, SIZE)

    def encode(self, pixels: Pixels) -> bytes:
        """A PNG."""
        return still.encode(pixels, SIZE, "png")


class Torch:
    """PyTorch and Pillow."""

    def __init__(self) -> None:
        import torch
        from safetensors.torch import load_file

        from models.networks import build, modern

        torch.set_num_threads(1)
        folder = harness.model()
        self._torch, self._with_styles = torch, modern.Generator
        self._card = bundle.Card.model_validate(bundle.read_card(folder))
        recipe = Recipe.model_validate(self._card.recipe)
        self._network = build.generator(recipe, self._card.attributes).eval()
        # BatchNorm's count of batches is no weight, and the file leaves it out.
        self._network.load_state_dict(load_file(folder / bundle.WEIGHTS), strict=False)
        self._enlarger = _enlarger(folder, recipe, self._card.enlarger)
        free = self._card.network.latent - len(self._card.attributes)
        self._probes = torch.from_numpy(latents.probes(free))

    def draw(self, seeds: list[str]) -> Pixels:
        """(N, SIZE, SIZE, 3), where the model has an enlarger; else as the network draws them."""
        with self._torch.inference_mode():
            z = self._torch.from_numpy(_latents(seeds, self._card))
            pixels = to_pixels(self._images(z))
            if self._enlarger is None or self._card.network.resolution >= SIZE:
                return np.asarray(pixels)
            pixels = to_pixels(self._enlarger(to_network(pixels)))
        return np.stack([reduce(face, SIZE) for face in pixels.numpy()])

    def _images(self, z: "Tensor") -> "Tensor":
        """z (N, latent) → (N, 3, S, S) at the card's psi, as Drawer.truncate has it."""
        network, psi = self._network, self._card.psi
        if not isinstance(network, self._with_styles) or network.mapping is None:
            images: Tensor = network(z * psi)
            return images
        rows = z[:, None].repeat(1, len(self._probes), 1)
        rows[:, :, : self._probes.shape[1]] = self._probes
        centre = network.mapping(rows.flatten(0, 1)).unflatten(0, (len(z), -1)).mean(1)
        w = centre + psi * (network.mapping(z) - centre)
        images = network.synthesis(w[:, None].expand(-1, network.synthesis.layers, -1))
        return images

    def encode(self, pixels: Pixels) -> bytes:
        """A PNG."""
        target = io.BytesIO()
        resize(np.ascontiguousarray(pixels), SIZE).save(target, "PNG")
        return target.getvalue()


def _enlarger(folder: Path, recipe: Recipe, card: bundle.Enlargement | None) -> "nn.Module | None":
    """The enlarger of a bundle, with the weights that its graph holds."""
    import onnx
    import torch

    from models.networks.enlarger import Enlarger

    if card is None:
        return None
    width, blocks, fold = recipe.enlarger_width, recipe.enlarger_blocks, recipe.enlarger_fold
    network = Enlarger(card.scale, width, blocks, fold)
    weights = {
        tensor.name.removeprefix("network.network."): torch.tensor(
            onnx.numpy_helper.to_array(tensor)
        )
        for tensor in onnx.load(folder / bundle.ENLARGER).graph.initializer
    }
    network.load_state_dict(weights)
    return network.eval()


def _latents(seeds: list[str], card: bundle.Card) -> NDArray[np.float32]:
    return np.stack([latents.derive(seed, card.network.latent) for seed in seeds])


def load() -> Graph | Torch:
    """The model of the kind that PEER_MODEL names."""
    return Graph() if os.environ["PEER_MODEL"] == "graph" else Torch()
