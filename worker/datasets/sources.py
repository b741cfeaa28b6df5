"""From a recipe's dataset name to packed pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.datasets import catalogue
from models.datasets.images import DatasetError
from models.recipes import Recipe
from models.settings import Settings
from worker.datasets.packing import Packed, pack

__all__ = ["LOCAL", "DatasetError", "pack_for"]

# `kao train --dataset FOLDER` names a folder of this machine; over HTTP no such name is accepted.
LOCAL = "path:"


def pack_for(
    settings: Settings, engine: sa.Engine, recipe: Recipe, progress: Callable[[int, int], None]
) -> Packed:
    """The recipe's dataset at its resolution. Raises DatasetError or UnknownDataset."""
    name = recipe.dataset
    options: dict[str, Any] = {"limit": recipe.dataset_limit, "progress": progress}
    if name == "starter":
        return pack("starter", recipe.resolution, settings.cache, **options)
    if name.startswith(LOCAL):
        path = Path(name.removeprefix(LOCAL))
        return pack(path, recipe.resolution, settings.cache, name=path.stem, **options)
    row = catalogue.get(engine, name)
    path = catalogue.path(settings, row["digest"])
    return pack(
        path, recipe.resolution, settings.cache, name=name, licence=row["licence"], **options
    )
