"""The part of a dataset that is measured against and never trained on.

A picture belongs to it by a digest of its name alone (the starter's names are its numbers), so it
is the same part at every size, in every run and on every machine.
"""

import hashlib
from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

FEWEST = 2_000  # pictures in the set: below, training needs every one of them

Places = NDArray[np.int64]


def position(name: str) -> float:
    """A place in [0, 1) from the name's digest; a set's first `share` are held out."""
    digest = hashlib.sha256(f"kao-held-out:{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def mask(names: Sequence[str], share: float) -> NDArray[np.bool_]:
    """(N,): which of these N pictures are held out; none in a set of fewer than FEWEST."""
    if not share or len(names) < FEWEST:
        return np.zeros(len(names), bool)
    return np.array([position(name) < share for name in names])


def picture_names(names: Sequence[str], share: float) -> frozenset[str]:
    """The names of the pictures that are held out."""
    return frozenset(compress(names, mask(names, share)))


def training_places(names: Sequence[str], share: float) -> Places | None:
    """The places of the pictures to train on, in order; None where that is all of them."""
    held_out = mask(names, share)
    return np.flatnonzero(~held_out) if held_out.any() else None
