"""This machine, as the automatic choice of a recipe needs it."""

import torch

from models import cores
from models.recipes.automatic import Machine
from worker.training import frozen_features


def describe() -> Machine:
    """Its free cores, its first GPU, and whether pretrained features are installed."""
    gpu, memory = None, None
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        gpu, memory = properties.name, int(properties.total_memory)
    return Machine(cores.available(), gpu, memory, frozen_features.is_available())
