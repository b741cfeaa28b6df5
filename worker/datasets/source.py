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
AHEAD = 64  # pictures decoded ahead of the writer: feeds every core
AHEAD_BYTES = 128 << 20  # of their files, where those are in memory

Images = NDArray[np.uint8]
Picture = tuple[str, Images | BrokenImage]
NamedFile = tuple[str, bytes | Path | BrokenImage]


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

    No more than AHEAD pictures, or AHEAD_BYTES and one picture, are read before the caller takes
    the first of them, and no thread waits for the slowest of a batch.
    """

    def read(name: str, content: bytes | Path | BrokenImage) -> Picture:
        if isinstance(content, BrokenImage):
            return name, content
        try:
            return name, read_square(content, decoding.size, decoding.least)
        except BrokenImage as error:
            return name, error

    pool = ThreadPoolExecutor(decoding.workers or cores.available())
    pending = deque[tuple[Future[Picture], int]]()
    bytes_ahead = 0
    try:
        for name, content in files:
            size = len(content) if isinstance(content, bytes) else 0
            pending.append((pool.submit(read, name, content), size))
            bytes_ahead += size
            while len(pending) == AHEAD or bytes_ahead > AHEAD_BYTES:
                future, size = pending.popleft()
                bytes_ahead -= size
                yield future.result()
        while pending:
            yield pending.popleft()[0].result()
    finally:
        pool.shutdown(cancel_futures=True)


def shorter_sides(files: Iterable[NamedFile]) -> list[int]:
    """The shorter sides of the readable pictures, in pixels."""
    sides = []
    for _, file in files:
        if not isinstance(file, BrokenImage):
            with contextlib.suppress(BrokenImage):
                sides.append(min(size_of(file)))
    return sides
