"""From a recipe's dataset name to packed pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.datasets import catalogue
from models.datasets.images import MIN_SIDE
from models.recipes.recipe import Recipe
from models.settings import Settings
from worker.datasets import starter
from worker.datasets.packing import Packed, pack

# `kao train --dataset FOLDER` names a folder of this machine; over HTTP no such name is accepted.
LOCAL = "path:"


def pack_for(
    settings: Settings, engine: sa.Engine, recipe: Recipe, progress: Callable[[int, int], None]
) -> Packed:
    """The recipe's dataset at its resolution. Raises DatasetError or UnknownDataset."""
    return pack_named(
        settings, engine, recipe.dataset, recipe.resolution, recipe.dataset_limit, progress
    )


def pack_named(
    settings: Settings,
    engine: sa.Engine,
    name: str,
    size: int,
    limit: int | None,
    progress: Callable[[int, int], None],
    least: int = MIN_SIDE,
) -> Packed:
    """A dataset by its name, at `size` pixels.

    least: leave out pictures whose shorter side has fewer pixels.
    Raises DatasetError or UnknownDataset.
    """
    options: dict[str, Any] = {"limit": limit, "progress": progress, "least": least}
    if name in starter.EDITIONS:
        return pack(name, size, settings.cache, **options)
    if name.startswith(LOCAL):
        path = Path(name.removeprefix(LOCAL))
        return pack(path, size, settings.cache, name=path.stem, **options)
    row = catalogue.get(engine, name)
    path = catalogue.fetch(settings, row["digest"])
    return pack(path, size, settings.cache, name=name, licence=row["licence"], **options)
