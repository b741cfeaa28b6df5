"""The interface of dataset sources: pictures by name, and labels where there are any."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models import cores
from models.datasets.exclusions import Exclusion
from models.datasets.images import MIN_SIDE, BrokenImage, read_square, size_of
from models.datasets.labels import LabelTable
from worker.datasets import held_out

PROBE_SAMPLE = 50  # pictures whose size is read to estimate the set's
AHEAD = 64  # pictures decoded ahead of the writer: bounds the memory, feeds every core

Images = NDArray[np.uint8]
Picture = tuple[str, Images | BrokenImage]
NamedFile = tuple[str, bytes | Path]


@dataclass(frozen=True)
class Decoding:
    """How pictures are read.

    size: the side of what they become, in pixels. least: the shorter side below which a picture is
    left out, in pixels. workers: threads or processes; None: one for each core.
    """

    size: int
    least: int = MIN_SIDE
    workers: int | None = None


@dataclass(frozen=True)
class Part:
    """Which of a source's pictures are packed; the fields are `pack`'s."""

    limit: int | None = None
    sample: int | None = None
    least: int = MIN_SIDE

    def choose(self, names: Iterable[str]) -> list[str]:
        """The names of the pictures, sorted."""
        first = sorted(names)[: self.limit]
        if self.sample is None or self.sample >= len(first):
            return first
        return sorted(sorted(first, key=held_out.position)[: self.sample])


PROBE = Part(sample=PROBE_SAMPLE)


@dataclass(frozen=True)
class Contents:
    """The pictures of a part of a source, and the other files.

    key: differs whenever the pixels of the pictures may differ.
    """

    key: str
    names: list[str]
    left_out: list[Exclusion] = field(default_factory=list)


class DatasetSource(Protocol):
    """A folder, a zip, the starter; a new kind of source is one module with these."""

    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def credit(self) -> str: ...

    def contents(self, part: Part, size: int) -> Contents:
        """List the pictures without decoding any. Raises DatasetError for none."""
        ...

    def pictures(self, contents: Contents, decoding: Decoding) -> Iterator[Picture]:
        """Decode the listed pictures in order; a broken one in the place of its pixels."""
        ...

    def labels(self, contents: Contents, names: Sequence[str]) -> dict[str, Any]:
        """`labels.json` of the pictures `names`, those that were packed; empty without labels."""
        ...

    def label_table(self) -> LabelTable:
        """The labels of all its pictures."""
        ...

    def sides(self, part: Part = PROBE) -> list[int]:
        """The shorter sides of a part's readable pictures, in pixels."""
        ...


def decode(files: Iterable[NamedFile], decoding: Decoding) -> Iterator[Picture]:
    """Decode files in order on threads: Pillow releases the interpreter's lock as it decodes.

    No more than AHEAD pictures are read before the caller takes the first of them, and no thread
    waits for the slowest of a batch.
    """

    def read(file: NamedFile) -> Picture:
        try:
            return file[0], read_square(file[1], decoding.size, decoding.least)
        except BrokenImage as error:
            return file[0], error

    pool = ThreadPoolExecutor(decoding.workers or cores.available())
    pending = deque[Future[Picture]]()
    try:
        for file in files:
            pending.append(pool.submit(read, file))
            if len(pending) == AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def shorter_sides(files: Iterable[NamedFile]) -> list[int]:
    """The shorter sides of the readable pictures, in pixels."""
    sides = []
    for _, file in files:
        with contextlib.suppress(BrokenImage):
            sides.append(min(size_of(file)))
    return sides
