"""Resumable training state on disk; the database points to the newest whole one."""

from pathlib import Path
from typing import Any

import torch

from models import storage

KEPT = 2


def write(folder: Path, step: int, state: dict[str, Any]) -> str:
    """Save `state` durably as a new file; its name. Older ones beyond the last two go."""
    name = f"{step:012d}.pt"
    with storage.whole_file(folder / name) as temporary:
        torch.save(state, temporary)
    return name


def prune(folder: Path, newest: str) -> None:
    """Keep `newest` and the one before it, once the database points to `newest`."""
    older = sorted(path for path in folder.glob("*.pt") if path.name < newest)
    for path in older[: -(KEPT - 1)]:
        path.unlink(missing_ok=True)


def read(folder: Path, name: str) -> dict[str, Any]:
    """A snapshot's state, on the CPU; only plain tensors and numbers are accepted."""
    state: dict[str, Any] = torch.load(folder / name, map_location="cpu", weights_only=True)
    return state
