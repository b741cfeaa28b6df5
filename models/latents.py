"""A seed is one latent, for ever: `docs/seeds.md` specifies this, with test vectors.

NumPy and PyTorch do not promise their random streams; SHA-256 and a rational approximation of
the normal quantile do not change.
"""

import hashlib
import secrets
from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidSeed

LONGEST = 4096  # bytes of UTF-8

Latent = NDArray[np.float32]
_NORMAL = NormalDist()


def derive(seed: str, length: int) -> Latent:
    """z of a seed: (length,) float32, standard normal. Raises InvalidSeed."""
    uniforms = uniform_stream(seed, "z")
    # Python's inv_cdf is Wichura's AS241 (PPND16), good to about 1e-16.
    return np.array([_NORMAL.inv_cdf(next(uniforms)) for _ in range(length)], dtype=np.float32)


def uniform_stream(seed: str, key: str) -> Iterator[float]:
    """Endless uniforms in (0, 1) for one purpose; another key never shifts this one's.

    Block i is SHA-256(SHA-256(seed) ‖ key ‖ 0x00 ‖ i as 8 bytes, big-endian): four 64-bit
    integers, each giving (its top 52 bits + 1/2) / 2^52.
    """
    root = hashlib.sha256(checked(seed)).digest() + key.encode() + b"\0"
    block = 0
    while True:
        digest = hashlib.sha256(root + block.to_bytes(8, "big")).digest()
        for offset in range(0, 32, 8):
            bits = int.from_bytes(digest[offset : offset + 8], "big") >> 12
            yield (bits + 0.5) / 2**52
        block += 1


def checked(seed: str) -> bytes:
    """The seed's UTF-8. Raises InvalidSeed for one that is too long or no text."""
    try:
        encoded = seed.encode()
    except UnicodeEncodeError:
        raise InvalidSeed(
            "The seed is not valid Unicode; send it as percent-encoded UTF-8."
        ) from None
    if len(encoded) > LONGEST:
        raise InvalidSeed(
            f"The seed has {len(encoded)} bytes; at most {LONGEST} bytes of UTF-8 are allowed."
        )
    return encoded


def random_seed() -> str:
    """A short seed that nobody had before (64 random bits)."""
    return secrets.token_hex(8)
