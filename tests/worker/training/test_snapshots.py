"""A snapshot is what was written, or it is refused and the one before it serves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import KaoError
from models.settings import Settings
from models.storage.blob_store import Blobs
from worker.training import restore, snapshots

Harm = Callable[[bytearray], None]
STATE: dict[str, Any] = {"weights": torch.arange(5000.0), "step": 7}


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def truncate(data: bytearray) -> None:
    del data[len(data) // 2 :]


def empty(data: bytearray) -> None:
    data.clear()


def damage(path: Path, harm: Harm) -> None:
    data = bytearray(path.read_bytes())
    harm(data)
    path.write_bytes(data)


@pytest.fixture
def folder(settings: Settings) -> Path:
    return settings.storage / "snapshots" / "run"


@pytest.mark.parametrize("harm", [flip, truncate, empty])
def test_a_damaged_snapshot_is_refused(folder: Path, harm: Harm) -> None:
    name = snapshots.write(folder, 10, STATE)
    assert snapshots.read(folder, name)["weights"].equal(STATE["weights"])
    damage(folder / name, harm)
    with pytest.raises(snapshots.DamagedSnapshot):
        snapshots.read(folder, name)


@pytest.mark.parametrize(
    "harm", [flip, truncate, empty, None], ids=["flip", "truncate", "empty", "gone"]
)
def test_where_the_newest_is_bad_or_gone_the_one_before_it_serves(
    settings: Settings, folder: Path, harm: Harm | None
) -> None:
    for step in (10, 20):
        snapshots.write(folder, step, {**STATE, "step": step})
    newest = snapshots.write(folder, 30, {**STATE, "step": 30})
    snapshots.prune(Blobs(settings.storage), folder, newest)
    row = {"id": "run", "snapshot": newest}
    assert restore._snapshot(settings, row)["step"] == 30
    if harm is None:
        (folder / newest).unlink()
    else:
        damage(folder / newest, harm)
    assert restore._snapshot(settings, row)["step"] == 20
    (folder / "000000000020.pt").unlink()
    with pytest.raises(KaoError, match="start a new run"):
        restore._snapshot(settings, row)


def test_after_a_rollback_the_timeline_that_was_given_up_is_gone(
    settings: Settings, folder: Path
) -> None:
    blobs = Blobs(settings.storage)
    target = snapshots.write(folder, 1000, STATE)
    given_up = snapshots.write(folder, 1100, STATE)
    snapshots.drop_newer(blobs, folder, target)
    for step in (1050, 1060):
        newest = snapshots.write(folder, step, STATE)
        snapshots.prune(blobs, folder, newest)
    kept_names = sorted(path.name for path in folder.iterdir())
    assert given_up not in kept_names
    assert kept_names == ["000000001050.pt", "000000001060.pt"]
