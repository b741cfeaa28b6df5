"""Put the weights of networks on the grid of `models/bundle/weight_grid.py` before publishing."""

import copy

import torch
from torch import nn

from models.bundle import weight_grid

# A scale for each output channel of a transposed convolution, and for each input of another layer.
# On the shipped model that kept 47.4 dB, axis 0 43.6 and output channels throughout 43.4
# (docs/experiments.md).
AXIS = 1


def on_grid(network: nn.Module) -> nn.Module:
    """A copy on the CPU whose large weights lie on the grid; it draws what browsers will draw."""
    grid_network = copy.deepcopy(network).cpu()
    with torch.no_grad():
        for weights in grid_network.parameters():
            weights.copy_(torch.from_numpy(weight_grid.snap(weights.float().numpy(), AXIS)))
    return grid_network
