"""From averaged weights to a bundle folder that `models.registry` can publish."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from models import bundle, latents
from models.database import now
from models.networks import modern
from models.recipes import Recipe
from worker.datasets.packing import Packed

OPSET = 17
SHEET = 8  # faces along each side of samples.png


class _Pixels(nn.Module):
    """A network that draws floats about [-1, 1], made to draw (N, S, S, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        images: Tensor = self.network(x).clamp(-1, 1).add(1).mul(127.5).round()
        return images.permute(0, 2, 3, 1).to(torch.uint8)


def write(
    folder: Path,
    generator: nn.Module,
    recipe: Recipe,
    packed: Packed,
    training: bundle.Training,
    run: str | None,
) -> None:
    """Fill `folder` with a bundle of this generator; the caller settles it."""
    # A copy on the CPU in plain layout: the trained one goes on training.
    network = copy.deepcopy(generator).cpu().eval()
    weights = {
        name: tensor.contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    save_file(weights, folder / bundle.WEIGHTS)
    layers = _export(network, recipe, folder)
    card = bundle.card_for(
        recipe,
        network=bundle.Network(
            resolution=recipe.resolution, latent=recipe.latent, style=recipe.style, layers=layers
        ),
        dataset=bundle.DatasetCredit(
            name=packed.name,
            fingerprint=packed.fingerprint,
            licence=packed.licence,
            credit=packed.credit,
            images=packed.count,
        ),
        training=training,
        parent_run=run,
        created=now(),
    )
    (folder / bundle.CARD).write_text(json.dumps(card.model_dump(mode="json"), indent=1) + "\n")
    drawer = bundle.Drawer(folder, card, threads=1)
    z = np.stack([latents.derive(str(seed), recipe.latent) for seed in range(SHEET**2)])
    Image.fromarray(sheet(drawer.draw(z, 1.0))).save(folder / bundle.SAMPLES, optimize=True)


def sheet(pixels: bundle.Pixels) -> bundle.Pixels:
    """(n², S, S, 3) → (nS, nS, 3): the faces in rows."""
    side, size = round(len(pixels) ** 0.5), pixels.shape[1]
    rows = pixels.reshape(side, side, size, size, 3).swapaxes(1, 2)
    return rows.reshape(side * size, side * size, 3)


def _export(network: nn.Module, recipe: Recipe, folder: Path) -> int:
    """Write the graphs; how many rows of w the synthesis takes, 0 where it takes z."""
    if not isinstance(network, modern.Generator) or network.mapping is None:
        z = torch.zeros(1, recipe.latent)
        _graph(_Pixels(network), z, "z", folder / bundle.SYNTHESIS, "network.", "")
        return 0
    layers = network.synthesis.layers
    z, w = torch.zeros(1, recipe.latent), torch.zeros(1, layers, recipe.style)
    _graph(network.mapping, z, "z", folder / bundle.MAPPING, "", "mapping.")
    _graph(_Pixels(network.synthesis), w, "w", folder / bundle.SYNTHESIS, "network.", "synthesis.")
    return layers


def _graph(
    network: nn.Module, example: Tensor, name: str, path: Path, strip: str, prefix: str
) -> None:
    """Export one graph, its weights pointing into the safetensors file beside it.

    Graph names lose `strip` and gain `prefix` to become that file's names.
    """
    torch.onnx.export(
        network,
        (example,),
        str(path),
        input_names=[name],
        output_names=["output"],
        dynamic_axes={name: {0: "N"}, "output": {0: "N"}},
        opset_version=OPSET,
        # Without folding, a graph's weights are those of the file, which then holds them once;
        # ONNX Runtime folds BatchNorm into the convolutions when it loads.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    model = onnx.load(path)
    places = _places(path.parent / bundle.WEIGHTS)
    for tensor in model.graph.initializer:
        place = places.get(prefix + tensor.name.removeprefix(strip))
        if place is not None and tensor.raw_data:
            _point(tensor, place)
    onnx.save(model, path)


def _places(path: Path) -> dict[str, tuple[int, int]]:
    """Name → (offset, length) in bytes within a safetensors file (its format's README)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(length))
    return {
        name: (
            8 + length + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _point(tensor: onnx.TensorProto, place: tuple[int, int]) -> None:
    """Replace a tensor's bytes by where they lie (ONNX external data)."""
    offset, length = place
    if len(tensor.raw_data) != length:
        raise ValueError(f"{tensor.name} is not the tensor that was saved")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", bundle.WEIGHTS), ("offset", offset), ("length", length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
