"""Finds and packs the dataset that a recipe names."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models.datasets import catalogue
from models.datasets.images import MIN_SIDE
from models.recipes.presets import HELD_OUT
from models.recipes.recipe import Recipe
from models.settings import Settings
from worker.datasets import starter_attributes
from worker.datasets.held_out import FEWEST
from worker.datasets.packing import PackedDataset, pack
from worker.datasets.source import DatasetSource
from worker.datasets.sources import open_source

# `kao train --dataset FOLDER` names a folder of this machine; over HTTP no such name is accepted.
LOCAL = "path:"
SERVED_SIDE = 256  # pixels that most people see: a profile page, the playground, a retina screen


def pack_for(
    settings: Settings, engine: sa.Engine, recipe: Recipe, progress: Callable[[int, int], None]
) -> PackedDataset:
    """The recipe's dataset at its resolution. Raises DatasetError or UnknownDataset."""
    return pack_named(
        settings, engine, recipe.dataset, recipe.resolution, recipe.dataset_limit, progress
    )


def pack_served(settings: Settings, engine: sa.Engine, recipe: Recipe) -> PackedDataset:
    """A fair part of the recipe's dataset at the size that most people see.

    It has as many pictures as a measurement has faces. Raises as `pack_for`.
    """
    size = served_size(settings, engine, recipe.dataset, recipe.resolution)
    return pack_named(
        settings,
        engine,
        recipe.dataset,
        size,
        recipe.dataset_limit,
        lambda count, total: None,
        sample=recipe.measure_samples,
    )


def served_size(settings: Settings, engine: sa.Engine, name: str, resolution: int) -> int:
    """SERVED_SIDE where at least half of the set's pictures are as large, else the resolution.

    Raises DatasetError or UnknownDataset.
    """
    sides = find_source(settings, engine, name).sides()
    is_large = bool(sides) and statistics.median(sides) >= SERVED_SIDE
    return max(SERVED_SIDE, resolution) if is_large else resolution


def find_source(settings: Settings, engine: sa.Engine, name: str) -> DatasetSource:
    """The source of a dataset by its name. Raises DatasetError or UnknownDataset."""
    if name in starter_attributes.EDITIONS:
        return open_source(name)
    path, title, licence = _locate(settings, engine, name)
    return open_source(path, title, licence)


def sample_for(samples: int, count: int) -> int:
    """How many of `count` pictures to pack for `samples` faces, the floor and what is held out."""
    held_out = round(count * HELD_OUT) if count >= FEWEST else 0
    return min(count, 2 * samples + held_out)


def pack_named(
    settings: Settings,
    engine: sa.Engine,
    name: str,
    size: int,
    limit: int | None,
    progress: Callable[[int, int], None],
    least: int = MIN_SIDE,
    sample: int | None = None,
) -> PackedDataset:
    """A dataset by its name, at `size` pixels.

    least: leave out pictures whose shorter side has fewer pixels. sample: at most so many
    pictures, fairly chosen. Raises DatasetError or UnknownDataset.
    """
    options: dict[str, Any] = {
        "limit": limit, "sample": sample, "progress": progress, "least": least
    }  # fmt: skip
    if name in starter_attributes.EDITIONS:
        return pack(name, size, settings.cache, **options)
    path, title, licence = _locate(settings, engine, name)
    return pack(path, size, settings.cache, name=title, licence=licence, **options)


def _locate(settings: Settings, engine: sa.Engine, name: str) -> tuple[Path, str, str]:
    """The file or folder of a dataset other than the starter, its title and its licence."""
    if name.startswith(LOCAL):
        path = Path(name.removeprefix(LOCAL))
        return path, path.name if path.is_dir() else path.stem, "unknown"
    row = catalogue.get(engine, name)
    return catalogue.fetch(settings, row["digest"]), name, row["licence"]
