"""Seeds to latents. `docs/seeds.md` specifies the function, with test vectors.

NumPy and PyTorch do not guarantee their random streams across versions. SHA-256 and a rational
approximation of the normal quantile never change.
"""

import hashlib
import math
import secrets
from collections.abc import Iterable, Iterator
from itertools import count, islice
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidSeed

LONGEST = 4096  # bytes of UTF-8
PROBES = 16

Latent = NDArray[np.float32]
_NORMAL = NormalDist()


def derive(seed: str, length: int, variant: int = 0) -> Latent:
    """Return the latent z of a seed: (length,) float32, standard normal. Raises InvalidSeed.

    Variants above 0 are further faces of the same seed.
    """
    return normals(seed, f"variant:{variant}" if variant else "z", length)


def derive_all(seeds: Iterable[str], length: int) -> Latent:
    """Return the latents of several seeds: (N, length) float32. Raises InvalidSeed."""
    return np.stack([derive(seed, length) for seed in seeds])


def normals(seed: str, key: str, length: int) -> Latent:
    """Return (length,) float32, standard normal, for one purpose. Raises InvalidSeed."""
    blocks = b"".join(islice(_blocks(seed, key), -(-length // 4)))
    # Python's inv_cdf is Wichura's AS241 (PPND16), good to about 1e-16.
    return np.array(list(map(_NORMAL.inv_cdf, _uniforms(blocks)[:length])), dtype=np.float32)


def probes(length: int) -> Latent:
    """Return (PROBES, length) float32: fixed latents over which a style is averaged.

    Pairs of opposites, so that the average of what is odd in the latent is exact.
    """
    half = derive_all((f"probe {number}" for number in range(PROBES // 2)), length)
    return np.concatenate([half, -half])


def slerp(a: Latent, b: Latent, t: float) -> Latent:
    """Interpolate from a (t = 0) to b (t = 1) along the great circle; (length,) each.

    The norm is interpolated linearly. A straight line would pass nearer to 0 than normal latents
    lie (arXiv:1609.04468 §2.1).
    """
    ends = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    angle = math.acos(np.clip(a @ b / (ends[0] * ends[1]), -1, 1)) if all(ends) else 0.0
    if t in (0, 1) or math.sin(angle) < 1e-6:  # no arc, or no single one between opposites
        return np.float32(1 - t) * a + np.float32(t) * b
    length = (1 - t) * ends[0] + t * ends[1]
    shares = (math.sin(part * angle) / math.sin(angle) * length for part in (1 - t, t))
    of_a, of_b = (share / end for share, end in zip(shares, ends, strict=True))
    return np.float32(of_a) * a + np.float32(of_b) * b


def uniform_stream(seed: str, key: str) -> Iterator[float]:
    """Yield uniforms in (0, 1) for one purpose without end. Keys are independent streams."""
    for block in _blocks(seed, key):
        yield from _uniforms(block)


def _uniforms(blocks: bytes) -> list[float]:
    """(top 52 bits + 1/2) / 2^52 of each of a block's four 64-bit big-endian integers."""
    uniforms: list[float] = (((np.frombuffer(blocks, ">u8") >> 12) + 0.5) / 2**52).tolist()
    return uniforms


def _blocks(seed: str, key: str) -> Iterator[bytes]:
    """Block i is SHA-256(SHA-256(seed) ‖ key ‖ 0x00 ‖ i as 8 bytes, big-endian)."""
    root = hashlib.sha256(seed_bytes(seed)).digest() + key.encode() + b"\0"
    for number in count():
        yield hashlib.sha256(root + number.to_bytes(8, "big")).digest()


def seed_bytes(seed: str) -> bytes:
    """Encode the seed as UTF-8. Raises InvalidSeed when it is too long or not valid Unicode."""
    try:
        data = seed.encode()
    except UnicodeEncodeError:
        message = "The seed is not valid Unicode; send it as percent-encoded UTF-8."
        raise InvalidSeed(message) from None
    if len(data) > LONGEST:
        raise InvalidSeed(
            f"The seed has {len(data)} bytes; at most {LONGEST} bytes of UTF-8 are allowed."
        )
    return data


def random_seed() -> str:
    """Return a new random seed of 16 hex digits (64 random bits)."""
    return secrets.token_hex(8)
