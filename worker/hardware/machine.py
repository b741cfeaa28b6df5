"""This machine, as the automatic choice of a recipe needs it."""

import torch

from models import cores
from models.recipes.automatic import Machine


def describe(has_features: bool) -> Machine:
    """Its free cores and its first GPU. has_features: whether pretrained ones are installed."""
    gpu, memory = None, None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu, memory = properties.name, int(properties.total_memory)
    return Machine(cores.available(), gpu, memory, has_features)
