"""Surveys the pictures of an upload while it is read: which are broken, and which look alike."""

import time
from dataclasses import dataclass, field

from models.datasets import near_duplicates
from models.datasets.exclusions import Exclusion
from models.datasets.images import BrokenImage, peek, read_square
from models.datasets.near_duplicates import NearDuplicates, Pixels

SECONDS = 5.0  # for decoding: some thousands of pictures; the headers of the others are read
SIDE = 16  # pixels; a JPEG decodes at an eighth of its size then


@dataclass
class Survey:
    """What was seen so far. unreadable: pictures that training leaves out."""

    seconds: float = SECONDS
    unreadable: list[Exclusion] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _thumbnails: list[Pixels] = field(default_factory=list)
    _used: float = 0.0

    def look(self, name: str, data: bytes) -> None:
        """Read one picture's header, and decode it while there is time."""
        start = time.monotonic()
        try:
            peek(data)
            if self._used < self.seconds:
                pixels = read_square(data, SIDE)
                self._names.append(name)
                self._thumbnails.append(near_duplicates.thumbnail(pixels))
        except BrokenImage as error:
            self.unreadable.append(Exclusion(name, error.reason))
        self._used += time.monotonic() - start

    def near_duplicates(self) -> NearDuplicates:
        """Which of the decoded pictures are alike."""
        return near_duplicates.find(self._names, self._thumbnails)
