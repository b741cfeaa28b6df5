"""Every random draw of a step comes from (run seed, what it is for, step).

A resumed run needs no random state but the step's number, and no draw shifts another
(edm2's habit).
"""

import hashlib

import torch


def draws(seed: int, *keys: object) -> torch.Generator:
    """A CPU random generator that depends on nothing but the seed and the keys."""
    digest = hashlib.sha256(":".join(map(str, (seed, *keys))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
