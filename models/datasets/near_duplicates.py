"""Pictures that look alike, though their bytes differ: saved again, reduced, retouched a little.

Two pictures are near-duplicates where a difference hash of 64 bits (whether each of 8×8 means is
brighter than the one to its right) differs in at most MOST_BITS bits, and no colour of their
thumbnails by more than MOST_DIFFERENCE. Of n pictures about n·log n pairs are compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 8  # of a thumbnail, in pixels: 20 MB for 100,000 pictures
MOST_BITS = 3
MOST_DIFFERENCE = 8  # of 255; a JPEG of quality 70 moves a mean by 2 to 6
MARGIN = 2  # of 255; equal neighbours must not become unequal by rounding
BANDS = 4  # of 16 bits: hashes that differ in at most 3 bits have an equal one (pigeonhole)
NEIGHBOURS = 32  # with the same band that a picture is compared to, in order of its hash
MOST_GROUPS = 50  # listed by name
MOST_NAMES = 20  # of a group

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class NearDuplicates:
    """looked: pictures that were compared. count: those that are like an earlier one.

    groups: the first groups by name, each with its first names.
    """

    looked: int = 0
    count: int = 0
    groups: list[list[str]] = field(default_factory=list)


def thumbnail(pixels: Pixels) -> Pixels:
    """(S, S, 3) → (SIDE, SIDE, 3), by area; S at least SIDE."""
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def find(names: Sequence[str], thumbnails: Sequence[Pixels]) -> NearDuplicates:
    """Compare pictures by their thumbnails, (SIDE, SIDE, 3) each. Equal pictures count as well."""
    if not names:
        return NearDuplicates()
    stack = np.stack(thumbnails)
    first = np.arange(len(names))
    for one, other in _candidates(_hashes(stack)):
        apart = first[one] != first[other]
        one, other = one[apart], other[apart]
        difference = np.abs(stack[one].astype(np.int16) - stack[other])
        alike = difference.max((1, 2, 3)) <= MOST_DIFFERENCE
        for a, b in zip(one[alike], other[alike], strict=True):
            _join(first, int(a), int(b))
        first = _flatten(first)
    groups: dict[int, list[str]] = {}
    for place, name in enumerate(names):
        groups.setdefault(_root(first, place), []).append(name)
    several = sorted(sorted(group) for group in groups.values() if len(group) > 1)
    return NearDuplicates(
        len(names),
        sum(len(group) - 1 for group in several),
        [group[:MOST_NAMES] for group in several[:MOST_GROUPS]],
    )


def _hashes(thumbnails: Pixels) -> Numbers:
    """(N, SIDE, SIDE, 3) → (N, BANDS): the difference hash in bands of 16 bits."""
    grey = thumbnails @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    bits = grey > np.roll(grey, -1, axis=2) + MARGIN
    bands = np.packbits(bits.reshape(len(bits), -1), axis=1)
    return bands.view(">u2").astype(np.int64)


def _candidates(hashes: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of pictures whose hashes are close: places of the one and of the other."""
    for band in range(BANDS):
        # By this band first, then by the rest: equal and nearly equal hashes become neighbours.
        order = np.lexsort([*(hashes[:, (band + k) % BANDS] for k in (3, 2, 1)), hashes[:, band]])
        sorted_hashes = hashes[order]
        for step in range(1, min(NEIGHBOURS, len(order) - 1) + 1):
            matches = sorted_hashes[:-step, band] == sorted_hashes[step:, band]
            if not matches.any():
                break
            places = np.flatnonzero(matches)
            different = np.bitwise_xor(sorted_hashes[places], sorted_hashes[places + step])
            close = np.bitwise_count(different).sum(1) <= MOST_BITS
            yield order[places[close]], order[places[close] + step]


def _root(first: Numbers, place: int) -> int:
    """The first picture of a group; halves the way there (union-find)."""
    while first[place] != place:
        first[place] = first[first[place]]
        place = int(first[place])
    return place


def _flatten(first: Numbers) -> Numbers:
    """Let each picture name its group's first one directly."""
    while not np.array_equal(first, first[first]):
        first = first[first]
    return first


def _join(first: Numbers, one: int, other: int) -> None:
    roots = sorted((_root(first, one), _root(first, other)))
    first[roots[1]] = roots[0]
