"""Uploaded datasets: a row each, and a checked zip in the store named by its digest."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from models.database import datasets, now, runs
from models.errors import DatasetExists, DatasetInUse, UnknownDataset
from models.settings import Settings

Row = dict[str, Any]


def path(settings: Settings, digest: str) -> Path:
    """Where an uploaded zip lies."""
    return settings.storage / "datasets" / f"{digest}.zip"


def get(engine: sa.Engine, name: str) -> Row:
    """One set. Raises UnknownDataset."""
    with engine.begin() as db:
        row = db.execute(select(datasets).where(datasets.c.name == name)).first()
    if row is None:
        raise UnknownDataset(name)
    return row._asdict()


def listed(engine: sa.Engine) -> list[Row]:
    """Every uploaded set, the newest first."""
    with engine.begin() as db:
        query = select(datasets).order_by(datasets.c.uploaded.desc(), datasets.c.name)
        return [row._asdict() for row in db.execute(query)]


def add(
    engine: sa.Engine, name: str, digest: str, size: int, images: int, licence: str
) -> tuple[Row, bool]:
    """A new set, and whether it is new; the same upload again is no error.

    Raises DatasetExists when the name means another upload.
    """
    with engine.begin() as db:
        old = db.execute(select(datasets).where(datasets.c.name == name)).first()
        if old is not None:
            if old.digest != digest:
                raise DatasetExists(
                    f"There is another dataset {name!r}; choose a new name, or delete that one."
                )
            return old._asdict(), False
        row = {
            "name": name,
            "digest": digest,
            "bytes": size,
            "images": images,
            "licence": licence,
            "uploaded": now(),
        }
        db.execute(datasets.insert().values(row))
        return row, True


def delete(engine: sa.Engine, settings: Settings, name: str) -> None:
    """Forget a set, and its zip when no other set shares it. Raises DatasetInUse."""
    with engine.begin() as db:
        row = db.execute(select(datasets).where(datasets.c.name == name)).first()
        if row is None:
            raise UnknownDataset(name)
        waiting = select(runs.c.id, runs.c.recipe).where(runs.c.state.in_(["queued", "running"]))
        for run in db.execute(waiting):
            if run.recipe["dataset"] == name:
                raise DatasetInUse(f"Run {run.id} needs {name!r}; cancel it first, or wait.")
        db.execute(sa.delete(datasets).where(datasets.c.name == name))
        shared = db.execute(select(datasets).where(datasets.c.digest == row.digest)).first()
    if shared is None:
        path(settings, row.digest).unlink(missing_ok=True)
