"""The room for another dataset: within the key's quota, within that of all, and on the disk."""

import shutil
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import func, select

from models.database.engine import reading
from models.database.tables import datasets
from models.errors import DiskFull, TooLarge
from models.row_limits import check_count
from models.settings import Settings

MOST_DATASETS = 1000  # of a key; the smallest zip has some hundred bytes
TOO_MANY = "A key has at most {most} datasets; delete one first."


class Room(NamedTuple):
    """The bytes that an upload may have, and why not more."""

    bytes: int
    reason: str

    def check(self, size: int) -> None:
        """Raises TooLarge."""
        if size > self.bytes:
            raise TooLarge(f"The upload has more than {max(0, self.bytes):,} bytes; {self.reason}")


def room(engine: sa.Engine, settings: Settings, key: str | None) -> Room:
    """The room for one more upload of this key. Raises LimitReached."""
    with reading(engine).begin() as db:
        return room_in(db, settings, key)


def room_in(db: sa.Connection, settings: Settings, key: str | None) -> Room:
    """As `room`, within a transaction."""
    size = func.coalesce(func.sum(datasets.c.bytes), 0)
    # Without a key only the quota of all counts.
    if key is not None:
        check_count(
            db, select(datasets.c.name).where(datasets.c.key == key), MOST_DATASETS, TOO_MANY
        )
    mine = db.scalar(select(size).where(datasets.c.key == key)) or 0
    every = db.scalar(select(size)) or 0
    return min(
        Room(
            settings.max_upload_bytes,
            "send fewer pictures, or raise KAO_MAX_UPLOAD_BYTES.",
        ),
        Room(
            settings.max_key_bytes - mine,
            "your key has no room for more: delete a dataset, or raise KAO_MAX_KEY_BYTES.",
        ),
        Room(
            settings.max_datasets_bytes - every,
            "there is no room for more: delete a dataset, or raise KAO_MAX_DATASETS_BYTES.",
        ),
    )


def check_disk(settings: Settings, folder: Path, size: int) -> None:
    """Raises DiskFull where `size` more bytes would leave less than KAO_MIN_FREE_BYTES."""
    if shutil.disk_usage(folder).free - size < settings.min_free_bytes:
        raise DiskFull(
            f"The disk would have less than {settings.min_free_bytes:,} bytes left, which training "
            "needs (KAO_MIN_FREE_BYTES); delete a dataset, or make room on the server."
        )
