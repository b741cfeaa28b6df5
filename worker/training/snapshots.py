"""Resumable training state on disk; the database points to the newest whole one."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from models.storage import atomic, layout
from models.storage.blob_store import Blobs


class DamagedSnapshot(Exception):
    """A snapshot whose bytes are not those that were written."""


def write(folder: Path, step: int, state: dict[str, Any]) -> str:
    """Save `state` durably as a new file; its name."""
    name = layout.snapshot_file(step)
    # An open file: with a path, torch raises a RuntimeError for a full disk.
    with atomic.whole_file(folder / name) as temporary, temporary.open("wb") as file:
        torch.save(state, file)
    return name


def prune(blobs: Blobs, folder: Path, newest: str) -> None:
    """Keep `newest` and the one before it, once the database points to `newest`."""
    older = sorted(name for name in _names(blobs, folder) if name < newest)
    for name in older[: -(layout.SNAPSHOTS_KEPT - 1)]:
        blobs.remove(folder / name)


def drop_newer(blobs: Blobs, folder: Path, target: str) -> None:
    """Remove what is newer than `target`, once the database points to it.

    After a rollback the newer ones belong to the timeline that was given up: kept, they would be
    the next rollback's target, or what a damaged snapshot is replaced by.
    """
    for name in _names(blobs, folder):
        if name > target:
            blobs.remove(folder / name)


def _names(blobs: Blobs, folder: Path) -> set[str]:
    """The snapshots here and in the bucket, which may have some that another host wrote."""
    local = (path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}"))
    return {*blobs.names(layout.snapshots(folder.name)), *local}


def newest_first(folder: Path, current: str) -> list[str]:
    """The snapshot that the database points to, then the older ones that are kept."""
    older = (path.name for path in folder.glob(f"*{layout.SNAPSHOT_SUFFIX}") if path.name < current)
    return [current, *sorted(older, reverse=True)]


def read(folder: Path, name: str) -> dict[str, Any]:
    """A snapshot's state, on the CPU; only plain tensors and numbers are accepted.

    Raises FileNotFoundError, DamagedSnapshot.
    """
    # torch 2.13 does not check the CRC-32 that its archive has of each part.
    try:
        with zipfile.ZipFile(folder / name) as archive:
            if (part := archive.testzip()) is not None:
                raise DamagedSnapshot(f"{name}: {part} has another checksum")
    except zipfile.BadZipFile as error:
        raise DamagedSnapshot(f"{name}: {error}") from error
    state: dict[str, Any] = torch.load(folder / name, map_location="cpu", weights_only=True)
    return state
