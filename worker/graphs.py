"""Networks as ONNX graphs, for a web process that has no torch."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from models import bundle
from models.networks import modern

OPSET = 17
FLOAT = onnx.TensorProto.FLOAT


class _Pixels(nn.Module):
    """A network that draws floats about [-1, 1], made to draw (N, S, S, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        images: Tensor = self.network(x).clamp(-1, 1).add(1).mul(127.5).round()
        return images.permute(0, 2, 3, 1).to(torch.uint8)


class _Critic(nn.Module):
    """A discriminator made to read (N, S, S, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(images.permute(0, 3, 1, 2).float().div(127.5).sub(1))
        return scores


def export_generator(network: nn.Module, latent: int, style: int, folder: Path) -> int:
    """Write the graphs beside the weights; how many rows of w they take, 0 where they take z."""
    if not isinstance(network, modern.Generator) or network.mapping is None:
        z = torch.zeros(1, latent)
        _graph(_Pixels(network), z, "z", folder / bundle.SYNTHESIS, "network.", "")
        return 0
    layers = network.synthesis.layers
    z, w = torch.zeros(1, latent), torch.zeros(1, layers, style)
    _graph(network.mapping, z, "z", folder / bundle.MAPPING, "", "mapping.")
    _graph(_Pixels(network.synthesis), w, "w", folder / bundle.SYNTHESIS, "network.", "synthesis.")
    return layers


def export_critic(discriminator: nn.Module, resolution: int, folder: Path) -> None:
    """Write the discriminator as a graph of its own, with its weights in half precision.

    It only ranks faces, and may be many times the generator's size.
    """
    images = torch.zeros(1, resolution, resolution, 3, dtype=torch.uint8)
    path = folder / bundle.CRITIC
    _onnx(_Critic(copy.deepcopy(discriminator).cpu().eval()), images, "images", path)
    model = onnx.load(path)
    casts = [_halve(tensor) for tensor in model.graph.initializer if tensor.data_type == FLOAT]
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)


def _halve(tensor: onnx.TensorProto) -> onnx.NodeProto:
    """Make it half precision under another name; the node that gives the name its floats."""
    name, half = tensor.name, onnx.numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
    return onnx.helper.make_node("Cast", [tensor.name], [name], to=FLOAT)


def _graph(
    network: nn.Module, example: Tensor, name: str, path: Path, strip: str, prefix: str
) -> None:
    """Export one graph, its weights pointing into the safetensors file beside it.

    Graph names lose `strip` and gain `prefix` to become that file's names.
    """
    _onnx(network, example, name, path)
    model = onnx.load(path)
    places = _places(path.parent / bundle.WEIGHTS)
    for tensor in model.graph.initializer:
        place = places.get(prefix + tensor.name.removeprefix(strip))
        if place is not None and tensor.raw_data:
            _point(tensor, place)
    onnx.save(model, path)


def _onnx(network: nn.Module, example: Tensor, name: str, path: Path) -> None:
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
