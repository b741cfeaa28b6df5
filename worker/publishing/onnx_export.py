"""Networks as ONNX graphs, for a web process that has no torch."""

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from models import bundle
from models.faces import latents
from models.networks import modern
from worker.publishing.serving_networks import serving_form
from worker.publishing.weight_grid import on_grid

OPSET = 17
FLOAT = onnx.TensorProto.FLOAT

Weights = Mapping[str, Tensor]


class _Pixels(nn.Module):
    """A network that draws floats about [-1, 1], that returns (N, S, S, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        images: Tensor = self.network(*inputs).clamp(-1, 1).add(1).mul(127.5).round()
        return images.permute(0, 2, 3, 1).to(torch.uint8)


class _GrowthNetwork(nn.Module):
    """A generator with its weights and those of earlier moments, mixed by shares.

    Those between two moments are their mean; the earlier ones have eight bits each.
    z (1, latent), psi (), share (earlier moments + 1,) float32.
    """

    def __init__(self, network: nn.Module, earlier: Sequence[Weights]) -> None:
        super().__init__()
        self.network = _TruncatedGenerator(copy.deepcopy(network))
        weights = network.state_dict()
        self.names = [name for name, tensor in weights.items() if tensor.is_floating_point()]
        # Taken off the network, so that each forward pass can put mixed ones in their places.
        self.places = [_remove(self.network.network, name) for name in self.names]
        for number, name in enumerate(self.names):
            whole, scale = _to_int8(torch.stack([moment[name].float() for moment in earlier]))
            self.register_buffer(f"last_{number}", weights[name])
            self.register_buffer(f"whole_{number}", whole)
            self.register_buffer(f"scale_{number}", scale)

    def forward(self, z: Tensor, psi: Tensor, share: Tensor) -> Tensor:
        for number, (owner, leaf) in enumerate(self.places):
            last, whole, scale = (
                self.get_buffer(f"{part}_{number}") for part in ("last", "whole", "scale")
            )
            shares = share[:-1].view(-1, *[1] * last.dim())
            setattr(owner, leaf, last * share[-1] + (whole.float() * scale * shares).sum(0))
        images: Tensor = self.network(z, psi)
        return images


def _remove(network: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Delete a parameter or buffer; where it was."""
    path, _, leaf = name.rpartition(".")
    owner = network.get_submodule(path)
    delattr(owner, leaf)
    return owner, leaf


def _to_int8(weights: Tensor) -> tuple[Tensor, Tensor]:
    """(N, rows, …) as int8 with a float32 scale (N, rows, 1, …); stacked vectors stay floats."""
    if weights.dim() < 3:
        return weights, torch.ones(1)
    scale = weights.abs().amax(tuple(range(2, weights.dim())), keepdim=True).clamp(min=1e-12) / 127
    return (weights / scale).round().to(torch.int8), scale


class _TruncatedGenerator(nn.Module):
    """A generator that draws at a psi, as `bundle.Drawer.draw` does."""

    probes: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        mapping = network.mapping if isinstance(network, modern.Generator) else None
        free = mapping.latent if mapping is not None else 0
        self.register_buffer("probes", torch.from_numpy(latents.probes(free)), persistent=False)

    def forward(self, z: Tensor, psi: Tensor) -> Tensor:
        network = self.network
        if not isinstance(network, modern.Generator) or network.mapping is None:
            images: Tensor = network(z * psi)
            return images
        w, centre = network.mapping(z), self._centre(network.mapping, z)
        w = centre + psi * (w - centre)
        images = network.synthesis(w[:, None].expand(-1, network.synthesis.layers, -1))
        return images

    def _centre(self, mapping: modern.Mapping, z: Tensor) -> Tensor:
        """The average style, or that of faces with the attributes of z (1, latent)."""
        if not mapping.selector_columns:
            return mapping.average
        attributes = z[:, mapping.latent :].expand(latents.PROBES, -1)
        latents_of_centre = torch.cat([self.probes, attributes], dim=1)
        centre: Tensor = mapping(latents_of_centre).mean(0, keepdim=True)
        return centre


class _PixelReader(nn.Module):
    """A network that reads images (N, 3, S, S), as one that takes (N, S, S, 3) uint8."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.network(images.permute(0, 3, 1, 2).float().div(127.5).sub(1))
        return output


def export_generator(network: nn.Module, latent: int, style: int, folder: Path) -> int:
    """Write the graphs beside the weights; how many rows of w they take, 0 where they take z."""
    if not isinstance(network, modern.Generator) or network.mapping is None:
        z = torch.zeros(1, latent)
        _export_with_weights(_Pixels(network), z, "z", folder / bundle.SYNTHESIS, "network.", "")
        return 0
    layers = network.synthesis.layers
    z, w = torch.zeros(1, latent), torch.zeros(1, layers, style)
    _export_with_weights(network.mapping, z, "z", folder / bundle.MAPPING, "", "mapping.")
    _export_with_weights(
        _Pixels(network.synthesis), w, "w", folder / bundle.SYNTHESIS, "network.", "synthesis."
    )
    return layers


def export_growth(network: nn.Module, earlier: Sequence[Weights], latent: int, path: Path) -> None:
    """Write one graph that draws as the generator did at each moment, and between them.

    network: the generator whose weights lie beside `path`. earlier: its weights at earlier
    moments, the oldest first.
    """
    growing = _GrowthNetwork(network, earlier)
    share = torch.eye(len(earlier) + 1)[-1]
    examples = {"z": torch.zeros(1, latent), "psi": torch.ones(()), "share": share}
    _export(_Pixels(growing).eval(), examples, path, any_count=False)
    _point_to_weights(
        path, {f"network.last_{number}": name for number, name in enumerate(growing.names)}
    )


def export_enlarger(network: nn.Module, resolution: int, folder: Path) -> None:
    """Write an enlarger as a graph of its own: (N, S, S, 3) uint8 → the same, larger."""
    images = torch.zeros(1, resolution, resolution, 3, dtype=torch.uint8)
    plain = on_grid(network)
    _export(_Pixels(_PixelReader(plain)).eval(), {"images": images}, folder / bundle.ENLARGER)


def export_critic(discriminator: nn.Module, resolution: int, folder: Path) -> None:
    """Write the discriminator as a graph of its own, with its weights in eight bits.

    It only ranks faces, and may be many times the generator's size.
    """
    images = torch.zeros(1, resolution, resolution, 3, dtype=torch.uint8)
    path = folder / bundle.CRITIC
    _export(_PixelReader(copy.deepcopy(discriminator).cpu().eval()), {"images": images}, path)
    model = onnx.load(path)
    tensors = list(model.graph.initializer)
    for tensor in tensors:
        if tensor.data_type == FLOAT and len(tensor.dims) > 1:
            _quantise(model.graph, tensor)
    onnx.save(model, path)


def add_metadata(path: Path, entries: Mapping[str, str]) -> None:
    """Write entries into a graph's metadata, and leave weights in the file beside it there."""
    model = onnx.load(path, load_external_data=False)
    onnx.helper.set_model_props(model, dict(entries))
    onnx.save(model, path)


def _quantise(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> None:
    """Keep a tensor as int8 and a scale a row; nodes at the front give its name the floats."""
    name = tensor.name
    (whole,), (scale,) = _to_int8(torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())[None])
    tensor.CopyFrom(onnx.numpy_helper.from_array(whole.numpy(), f"{name}.whole"))
    graph.initializer.append(onnx.numpy_helper.from_array(scale.numpy(), f"{name}.scale"))
    graph.node.insert(0, onnx.helper.make_node("Mul", [f"{name}.floats", f"{name}.scale"], [name]))
    cast = onnx.helper.make_node("Cast", [f"{name}.whole"], [f"{name}.floats"], to=FLOAT)
    graph.node.insert(0, cast)


def _export_with_weights(
    network: nn.Module, example: Tensor, name: str, path: Path, strip: str, prefix: str
) -> None:
    """Export one graph, its weights pointing into the safetensors file beside it.

    Graph names lose `strip` and gain `prefix` to become that file's names.
    """
    _export(network, {name: example}, path)
    names = network.state_dict().keys()
    _point_to_weights(path, {each: prefix + each.removeprefix(strip) for each in names})


def _point_to_weights(path: Path, names: Mapping[str, str]) -> None:
    """Take those of a graph's tensors that `names` maps to weights from the file beside it."""
    model = onnx.load(path)
    places = _places(path.parent / bundle.WEIGHTS)
    for tensor in model.graph.initializer:
        place = places.get(names.get(tensor.name, ""))
        if place is not None and tensor.raw_data:
            _point(tensor, place)
    onnx.save(model, path)


def _export(
    network: nn.Module, examples: dict[str, Tensor], path: Path, any_count: bool = True
) -> None:
    """Trace a network into a graph with these inputs. any_count: with any number of rows."""
    axes = {name: {0: "N"} for name in (*examples, "output")} if any_count else None
    with warnings.catch_warnings(), serving_form(network):
        # A Pad's amounts are sliced from a constant, which ONNX Runtime folds and torch need not.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            network,
            tuple(examples.values()),
            str(path),
            input_names=list(examples),
            output_names=["output"],
            dynamic_axes=axes,
            opset_version=OPSET,
            # Without folding, a graph's weights are those of the file, which then holds them
            # once; ONNX Runtime folds BatchNorm into the convolutions when it loads.
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
