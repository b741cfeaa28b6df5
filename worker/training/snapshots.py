"""Resumable training state on disk; the database points to the newest whole one."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from models.storage import atomic, layout
from models.storage.blob_store import Blobs

KEPT = 2


class Damaged(Exception):
    """A snapshot whose bytes are not those that were written."""


def write(folder: Path, step: int, state: dict[str, Any]) -> str:
    """Save `state` durably as a new file; its name."""
    name = layout.snapshot_file(step)
    # A file of Python's: given a path, torch hides a full disk behind a RuntimeError.
    with atomic.whole_file(folder / name) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
    return name


def prune(blobs: Blobs, folder: Path, newest: str) -> None:
    """Keep `newest` and the one before it, once the database points to `newest`.

    The bucket may have some that another host wrote.
    """
    there = blobs.names(layout.snapshots(folder.name))
    names = {*there, *(path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}"))}
    older = sorted(name for name in names if name < newest)
    for name in older[: -(KEPT - 1)]:
        blobs.remove(folder / name)


def newest_first(folder: Path, pointed: str) -> list[str]:
    """The snapshot that the database points to, then the older ones that are kept."""
    older = (path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}") if path.name < pointed)
    return [pointed, *sorted(older, reverse=True)]


def read(folder: Path, name: str) -> dict[str, Any]:
    """A snapshot's state, on the CPU; only plain tensors and numbers are accepted.

    Raises FileNotFoundError, Damaged.
    """
    # torch 2.13 reads a flipped bit without a word, though its archive has a CRC-32 of each part.
    try:
        with zipfile.ZipFile(folder / name) as archive:
            if (part := archive.testzip()) is not None:
                raise Damaged(f"{name}: {part} has another checksum")
    except zipfile.BadZipFile as error:
        raise Damaged(f"{name}: {error}") from error
    state: dict[str, Any] = torch.load(folder / name, map_location="cpu", weights_only=True)
    return state
