"""The base of sources whose pictures are files: those of a folder, or the members of an archive."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.datasets.labels import LabelTable
from worker.datasets.source import (
    PROBE,
    Contents,
    Decoding,
    NamedFile,
    Part,
    Picture,
    decode,
    shorter_sides,
)


@dataclass(frozen=True)
class FileSource(ABC):
    """The pictures at `path`. A subclass lists and opens them, and adds `contents`."""

    path: Path
    name: str
    licence: str = "unknown"
    credit: str = ""

    @abstractmethod
    def label_table(self, without: Collection[str] = ()) -> LabelTable:
        """The labels of every picture but those of `without`, whatever part is packed."""

    @abstractmethod
    def _pictures(self) -> list[str]:
        """The names of all pictures."""

    @abstractmethod
    def _open(self, names: Sequence[str]) -> Iterator[NamedFile]:
        """The files of pictures of a listing, in its order."""

    def pictures(self, contents: Contents, decoding: Decoding) -> Iterator[Picture]:
        """Decode the listed pictures in order."""
        return decode(self._open(contents.names), decoding)

    def labels(self, contents: Contents, names: Sequence[str]) -> dict[str, Any]:
        """`labels.json` of the pictures `names`, those that were packed."""
        skipped = set(contents.names) - set(names)
        table = self.label_table(skipped)
        return table.to_json(self._pictures_but(skipped), names) if table else {}

    def _pictures_but(self, without: Collection[str]) -> list[str]:
        return [name for name in self._pictures() if name not in without]

    def sides(self, part: Part = PROBE) -> list[int]:
        """The shorter sides of a part's readable pictures, in pixels."""
        return shorter_sides(self._open(part.choose(self._pictures())))
