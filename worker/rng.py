"""Random numbers of a training: one stream for each run seed, purpose and step.

A resumed run needs no random state but the step's number, and no stream shifts another, as in edm2
(arXiv:2312.02696).
"""

import hashlib

import torch


def random_stream(seed: int, *keys: object) -> torch.Generator:
    """A random generator on the CPU that depends on the seed and the keys alone."""
    digest = hashlib.sha256(":".join(map(str, (seed, *keys))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
