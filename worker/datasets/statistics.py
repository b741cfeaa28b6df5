"""Statistics of a set of pictures: their number, sizes, flatness and labels."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from models.datasets.flatness import SIDE, flatness
from models.datasets.images import MIN_SIDE, BrokenImage
from models.errors import DatasetError
from models.recipes.automatic import Pictures
from worker.datasets.source import Contents, DatasetSource, Decoding, Images, Part

SAMPLE = 120  # pictures that are decoded


def measure(source: DatasetSource, limit: int | None = None) -> Pictures:
    """Look at a fair sample of the pictures.

    limit: count, sizes and flatness are those of the set's first so many; labels are the whole's.
    Raises DatasetError where fewer than two of the sample can be read.
    """
    contents = source.contents(Part(limit), SIDE)
    sample = replace(contents, names=Part(sample=SAMPLE).choose(contents.names))
    sides = source.sides(Part(limit, SAMPLE))
    # Enlarged pictures would have more equal neighbours than they had.
    side = min(SIDE, max(MIN_SIDE, sorted(sides)[len(sides) // 2])) if sides else SIDE
    images = list(_readable(source, sample, side))
    if len(images) < 2 or not sides:
        raise DatasetError(
            f"Of {source.name!r} fewer than two of {len(sample.names)} pictures can be read; "
            "bring whole pictures, best some thousands."
        )
    table = source.label_table()
    return Pictures(
        name=source.name,
        count=len(contents.names),
        sides=tuple(sides),
        flatness=float(np.median([flatness(image) for image in images])),
        attributes={name: len(set(row)) for name, row in table.attributes.items()},
        numbers=tuple(table.numbers),
    )


def _readable(source: DatasetSource, contents: Contents, side: int) -> Iterator[Images]:
    """Decode the pictures, broken ones left out."""
    for _, image in source.pictures(contents, Decoding(side)):
        if not isinstance(image, BrokenImage):
            yield image
