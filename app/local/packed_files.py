"""Packed files of models, kept in memory for the browsers that draw faces themselves."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from app.http.content_encoding import EncodedContent

MOST = 16  # files in memory; a model has five, of 2 to 6 MB together


@dataclass(frozen=True)
class PackedFile:
    """A file as it travels, and the original's size and SHA-256."""

    content: EncodedContent
    size: int
    sha256: str


class PackedFiles:
    """The most recently used files, by version and name. It belongs to one event loop."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, str], PackedFile] = OrderedDict()
        # One is packed at a time: that takes up to 15 s of a core, and four times the file's size.
        self.packing = asyncio.Semaphore(1)

    def get(self, version: str, name: str) -> PackedFile | None:
        """A file, which becomes the most recently used one; None where it is not in memory."""
        file = self._files.get((version, name))
        if file is not None:
            self._files.move_to_end((version, name))
        return file

    def add(self, version: str, name: str, file: PackedFile) -> None:
        """Keep a file, in place of the least recently used one where there are MOST."""
        self._files[version, name] = file
        if len(self._files) > MOST:
            self._files.popitem(last=False)
