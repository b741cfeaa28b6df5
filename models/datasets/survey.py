"""Surveys the pictures of an upload while it is read: broken, alike, flat art or photographs."""

import time
from dataclasses import dataclass, field
from statistics import median

from models.datasets import flatness, near_duplicates
from models.datasets.exclusions import Exclusion
from models.datasets.images import BrokenImage, check_header, read_square
from models.datasets.near_duplicates import NearDuplicates, Pixels

SECONDS = 5.0  # for decoding: some thousands of pictures; the headers of the others are read
SIDE = 16  # pixels; a JPEG decodes at an eighth of its size then
FLATNESS_SAMPLE = 40  # the first so many pictures are decoded larger, for their flatness


@dataclass
class Survey:
    """What was seen so far. unreadable: pictures that training leaves out."""

    seconds: float = SECONDS
    unreadable: list[Exclusion] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _thumbnails: list[Pixels] = field(default_factory=list)
    _flatness: list[float] = field(default_factory=list)
    _seconds_used: float = 0.0

    def add(self, name: str, data: bytes) -> None:
        """Read a picture's header, and decode it while there is time."""
        start = time.monotonic()
        try:
            check_header(data)
            if self._seconds_used < self.seconds:
                pixels = read_square(data, SIDE)
                self._names.append(name)
                self._thumbnails.append(near_duplicates.thumbnail(pixels))
                if len(self._flatness) < FLATNESS_SAMPLE:
                    # Decoded again: thumbnails from two sizes differ by 10 of 255, and these
                    # pictures would be like none of the others.
                    larger = read_square(data, flatness.SIDE)
                    self._flatness.append(flatness.flatness(larger))
        except BrokenImage as error:
            self.unreadable.append(Exclusion(name, error.reason))
        self._seconds_used += time.monotonic() - start

    def near_duplicates(self) -> NearDuplicates:
        """Which of the decoded pictures are alike."""
        return near_duplicates.find(self._names, self._thumbnails)

    @property
    def flatness(self) -> float | None:
        """The median of the sample's flatness, 0 to 1; None where no picture was decoded."""
        return median(self._flatness) if self._flatness else None
