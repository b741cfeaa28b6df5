"""A zip of pictures, read in place."""

import hashlib
import json
import zipfile
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from models.datasets import archive, labels
from models.datasets.images import MIN_SIDE
from models.datasets.labels import LabelTable
from worker.datasets.file_source import FileSource
from worker.datasets.source import Contents, Decoding, NamedFile, Part, Picture

VERSION = "zip-8"  # raise it whenever the same bytes give other pixels or labels


class ZipSource(FileSource):
    """Every picture in the archive at `path`."""

    @cached_property
    def _listing(self) -> archive.Listing:
        return archive.listing(self.path)

    def contents(self, part: Part, size: int) -> Contents:
        """The pictures, and every other file with the reason why it is left out."""
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        names = part.choose(self._listing.pictures)
        if len(self._listing.pictures) < archive.FEWEST:
            archive.check(self.path, decode=True)  # raises the reason, or that there are too few
        least = [part.least] if part.least != MIN_SIDE else []
        key = json.dumps([VERSION, digest, part.limit, part.sample, *least])
        return Contents(hashlib.sha256(key.encode()).hexdigest(), names, self._listing.left_out)

    def pictures(self, contents: Contents, decoding: Decoding) -> Iterator[Picture]:
        """Check the archive, then decode the listed pictures in order."""
        archive.check_entries(self.path)
        return super().pictures(contents, decoding)

    def label_table(self, without: Collection[str] = ()) -> LabelTable:
        """The labels of every picture but those of `without`, whatever part is packed."""
        return labels.read_usable(self._pictures_but(without), archive.metadata(self.path))

    def _open(self, names: Sequence[str]) -> Iterator[NamedFile]:
        return archive.members(self.path, only=frozenset(names))

    def _pictures(self) -> list[str]:
        return self._listing.pictures


def recognise(source: str | Path, name: str | None, licence: str) -> ZipSource | None:
    """The zip at a path, by its name or its content; None where there is none."""
    path = Path(source)
    if not path.is_file() or not (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)):
        return None
    return ZipSource(path, name or path.stem, licence)
