"""A published model's weights lie on the grid, so that browsers load a quarter of the bytes."""

from pathlib import Path

import torch
from safetensors.numpy import load_file

from app.local import model_packing
from models import bundle
from models.bundle import weight_grid
from models.networks.enlarger import Enlarger
from tests.support.enlargers import add_enlarger
from tests.support.fixtures import WriteBundle
from worker.publishing.weight_grid import on_grid


def test_every_large_weight_of_a_bundle_lies_on_the_grid(write_bundle: WriteBundle) -> None:
    weights = load_file(write_bundle() / bundle.WEIGHTS)
    large = [name for name, tensor in weights.items() if weight_grid.is_large(tensor)]
    assert len(large) >= 3
    assert [name for name in large if weight_grid.find(weights[name]) is None] == []


def test_a_bundle_packs_into_little_more_than_a_byte_a_weight(write_bundle: WriteBundle) -> None:
    content = (write_bundle() / bundle.WEIGHTS).read_bytes()
    assert len(model_packing.pack(bundle.WEIGHTS, content)) < len(content) * 0.4


def test_an_enlarger_packs_as_well(write_bundle: WriteBundle, tmp_path: Path) -> None:
    content = (add_enlarger(write_bundle(), tmp_path / "b") / bundle.ENLARGER).read_bytes()
    assert len(model_packing.pack(bundle.ENLARGER, content)) < len(content) * 0.85


def test_the_trained_network_stays_as_it_was() -> None:
    network = Enlarger(4, 16, 1, fold=2)
    before = [weights.clone() for weights in network.parameters()]
    grid_network = on_grid(network)
    assert all(map(torch.equal, before, network.parameters()))
    assert not all(map(torch.equal, before, grid_network.parameters()))
