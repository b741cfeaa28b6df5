"""The starter set's editions as a source: pictures that are drawn instead of decoded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.datasets.labels import LabelTable
from worker.datasets import starter, starter_attributes
from worker.datasets.source import PROBE, PROBE_SAMPLE, Contents, Decoding, Part, Picture


@dataclass(frozen=True)
class StarterSource:
    """One edition of the starter set, by its name."""

    name: str
    licence: str = starter.LICENCE
    credit: str = starter.CREDIT

    @property
    def _edition(self) -> starter_attributes.Edition:
        return starter_attributes.EDITIONS[self.name]

    def contents(self, part: Part, size: int) -> Contents:
        """The first pictures, named by their numbers: they are as fair a sample as any."""
        count = part.limit or self._edition.pictures
        count = min(count, part.sample or count)
        key = starter.fingerprint(count, size, self._edition)
        return Contents(key, [f"{index:06}" for index in range(count)])

    def pictures(self, contents: Contents, decoding: Decoding) -> Iterator[Picture]:
        """Draw the pictures in order."""
        count = len(contents.names)
        images = starter.render_all(count, decoding.size, decoding.workers, self._edition)
        return zip(contents.names, images, strict=True)

    def labels(self, contents: Contents, names: Sequence[str]) -> dict[str, Any]:
        """The attributes that were drawn; every picture is packed."""
        return starter_attributes.labels(len(names), self._edition)

    def label_table(self) -> LabelTable:
        """The attributes' names; their values are drawn, so none is listed."""
        return LabelTable({name: [] for name in starter_attributes.attributes(0, self._edition)})

    def sides(self, part: Part = PROBE) -> list[int]:
        """Pictures are drawn at any size up to this, in pixels."""
        return [starter.LARGEST_SIZE] * (part.sample or PROBE_SAMPLE)


def recognise(source: str | Path, name: str | None, licence: str) -> StarterSource | None:
    """An edition of the starter by its name; None for any other source."""
    is_edition = isinstance(source, str) and source in starter_attributes.EDITIONS
    return StarterSource(str(source)) if is_edition else None
