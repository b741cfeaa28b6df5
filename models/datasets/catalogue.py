"""The uploaded datasets: a row each, and their zips by content under `<store>/datasets/`."""

import re
import threading
from collections.abc import Iterable
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from models.database.engine import lock, now, reading
from models.database.tables import datasets, runs
from models.datasets import archive, labels, quotas
from models.datasets.archive import ArchiveReport
from models.datasets.exclusions import Reason, summarise
from models.datasets.labels import LabelTable
from models.datasets.near_duplicates import NearDuplicates
from models.errors import DatasetError, DatasetExists, DatasetInUse, UnknownDataset
from models.recipes.automatic import FLAT
from models.recipes.recipe import Recipe
from models.runs import ACTIVE
from models.settings import Settings
from models.storage import atomic, layout

STARTER = "starter"
BUILT_IN = frozenset({STARTER, "starter-1", "starter-2"})  # drawn by us; no upload may be called so
# What the starter's pictures are labelled with, in every edition.
STARTER_ATTRIBUTES = (
    "hair", "hair_length", "hair_colour", "skin", "head", "eyes", "eyes_state", "eye_colour",
    "eyebrows", "nose", "mouth", "mood", "glasses", "beard", "freckles", "earrings", "flowers",
    "background",
)  # fmt: skip
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ENDS = ("low", "high")  # of a numeric label
LONGEST_LICENCE = 200  # characters, as the column has
_labels_lock = threading.Lock()
Row = dict[str, Any]


def path(settings: Settings, digest: str) -> Path:
    """Where a set's zip lies."""
    return settings.storage / layout.dataset(digest)


def fetch(settings: Settings, digest: str) -> Path:
    """The same, once it is here. Raises StorageUnreachable, DatasetError for a lost or bad one."""

    def check(download: Path) -> None:
        if atomic.sha256(download) != digest:
            raise DatasetError("The dataset's zip is damaged; upload it again.")

    zip_path = settings.blobs.fetch(path(settings, digest), check)
    if not zip_path.exists():
        raise DatasetError("The dataset's zip is missing; upload it again.")
    return zip_path


def check_name(name: str) -> None:
    """Raises DatasetError for a name that no upload may have."""
    if not NAME.fullmatch(name) or name in BUILT_IN:
        raise DatasetError(
            f"{name[:80]!r} cannot name a dataset: use 1 to 63 of a-z, 0-9, _ and -, starting "
            f"with a letter or digit, and not {STARTER!r}, which is always there."
        )


def add(
    engine: sa.Engine,
    settings: Settings,
    upload: Path,
    *,
    name: str,
    licence: str,
    report: ArchiveReport,
    key: str | None = None,
) -> tuple[Row, bool]:
    """Keep a checked zip under a name; its row, and whether that is new.

    The file is moved away from `upload` only on success. `key`: whose quota it counts for.
    Raises DatasetExists, TooLarge, LimitReached.
    """
    check_name(name)
    digest, size = atomic.sha256(upload), upload.stat().st_size
    atomic.sync(upload)
    target, blob = path(settings, digest), layout.dataset(digest)
    # Before the transaction: sending gigabytes must not keep other writers waiting.
    settings.blobs.put_once(upload, blob)
    with engine.begin() as db:
        lock(db, "datasets")
        is_new = _is_new(db, name, digest)
        if is_new:
            # Again, as others may have uploaded meanwhile.
            quotas.room_in(db, settings, key).check(size)
            db.execute(
                datasets.insert().values(
                    name=name,
                    digest=digest,
                    bytes=size,
                    images=report.images,
                    licence=licence,
                    uploaded=now(),
                    key=key,
                    report=_report_json(report),
                )
            )
        # Within the transaction: a row is never there without its file. A copy that is there may
        # be damaged; this one was just hashed.
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.replace(target)
        atomic.sync(target.parent)
        row = _get(db, name)
    if not settings.blobs.exists(blob):  # deleted under another name since it was sent
        settings.blobs.put_once(target)
    return row, is_new


def _is_new(db: sa.Connection, name: str, digest: str) -> bool:
    """Whether the name is free; False where it names this content. Raises DatasetExists."""
    row = db.execute(select(datasets).where(datasets.c.name == name)).first()
    if row is not None and row.digest != digest:
        raise DatasetExists(
            f"There is already another dataset named {name!r}; choose another name, or "
            "delete that one first."
        )
    return row is None


def get(engine: sa.Engine, name: str) -> Row:
    """One set's row. Raises UnknownDataset; `starter` has none."""
    with reading(engine).begin() as db:
        return _get(db, name)


def list_datasets(engine: sa.Engine) -> list[Row]:
    """Every uploaded set, by name."""
    with reading(engine).begin() as db:
        return [row._asdict() for row in db.execute(select(datasets).order_by(datasets.c.name))]


def delete(engine: sa.Engine, settings: Settings, name: str) -> None:
    """Delete a set, and its zip unless another name has it. Raises UnknownDataset, DatasetInUse."""
    with engine.begin() as db:
        lock(db, "datasets")
        digest = _get(db, name)["digest"]
        waiting = select(runs.c.id, runs.c.recipe).where(runs.c.state.in_(ACTIVE))
        users = [row.id for row in db.execute(waiting) if row.recipe.get("dataset") == name]
        if users:
            raise DatasetInUse(
                f"Dataset {name!r} is used by run {users[0]}; cancel it or wait for its end."
            )
        db.execute(sa.delete(datasets).where(datasets.c.name == name))
    _remove(engine, settings, digest)


def _remove(engine: sa.Engine, settings: Settings, digest: str) -> None:
    """Remove a deleted set's zip unless a name has it: the folder's at once, then the bucket's.

    In a transaction after that of the row: where that one fails, the row still has its file, and a
    file that nobody removed is garbage. A bucket may take seconds, so it comes after both, and the
    same zip may have been uploaded again meanwhile; then it is put back.
    """
    zip_path, hidden = path(settings, digest), None
    with engine.begin() as db:
        lock(db, "datasets")
        if _has_name(db, digest):
            return
        if zip_path.exists():
            hidden = atomic.hide(zip_path)
    settings.blobs.remove_names([layout.dataset(digest)])
    with reading(engine).begin() as db:
        is_needed = _has_name(db, digest)
    for copy in (zip_path, hidden):
        if is_needed and copy is not None and copy.exists():
            settings.blobs.put_once(copy, layout.dataset(digest))
            break
    if hidden is not None:
        hidden.unlink(missing_ok=True)


def _has_name(db: sa.Connection, digest: str) -> bool:
    query = select(datasets.c.name).where(datasets.c.digest == digest)
    return db.execute(query).first() is not None


def _get(db: sa.Connection, name: str) -> Row:
    row = None
    if NAME.fullmatch(name):
        row = db.execute(select(datasets).where(datasets.c.name == name)).first()
    if row is None:
        raise UnknownDataset(name[:80])
    return row._asdict()


def _report_json(report: ArchiveReport) -> dict[str, Any]:
    """A report as JSON: files by reason, the first of each by name; places of unreadable ones."""
    return {
        "unreadable": report.unreadable,
        "left_out": [asdict(reason) for reason in summarise(report.left_out)],
        "near_duplicates": asdict(report.near_duplicates),
        "flatness": report.flatness,
    }


def flat_art(rows: Iterable[Row]) -> dict[str, bool | None]:
    """Whether each set's pictures are flat, drawn art; None where that was not measured.

    rows: of the uploaded sets; the built-in ones are added.
    """
    reports = {row["name"]: row["report"] or {} for row in rows}
    measured = {name: report.get("flatness") for name, report in reports.items()}
    uploads = {name: None if value is None else value >= FLAT for name, value in measured.items()}
    return dict.fromkeys(BUILT_IN, True) | uploads


def report_of(settings: Settings, row: Row) -> tuple[list[Reason], NearDuplicates]:
    """The files that are left out of an uploaded set, and its near-duplicates.

    Of a set that was uploaded before reports were kept, only what the files' names say.
    """
    if row["report"] is None:
        listing = archive.listing(fetch(settings, row["digest"]))
        return summarise(listing.left_out), NearDuplicates()
    reasons = [Reason(**reason) for reason in row["report"]["left_out"]]
    return reasons, NearDuplicates(**row["report"]["near_duplicates"])


def examples(settings: Settings, row: Row, label: str, value: str, count: int) -> list[str]:
    """Some pictures that have a value of a label, the first by name; no more than `count`.

    Of a numeric label `low` and `high` are the pictures at its ends. Raises DatasetError.
    """
    table = label_table(settings, row)
    names = _pictures(fetch(settings, row["digest"]), _unreadable(row))
    if label in table.attributes:
        pairs = zip(names, table.attributes[label], strict=True)
        return list(islice((name for name, each in pairs if each == value), count))
    if label in table.numbers and value in ENDS:
        numbers = zip(names, table.numbers[label], strict=True)
        order = sorted((number, name) for name, number in numbers if number is not None)
        ends = order[:count] if value == ENDS[0] else order[-count:]
        return [name for _, name in ends]
    raise DatasetError(f"{row['name']!r} has no label {label[:80]!r} with {value[:80]!r}.")


def label_table(settings: Settings, row: Row) -> LabelTable:
    """The labels of an uploaded set, without those of metadata files that cannot be read."""
    path = fetch(settings, row["digest"])
    with _labels_lock:  # one at a time: a large table takes hundreds of megabytes
        return _label_table(path, _unreadable(row))


@lru_cache(64)  # the file is named by its content
def _label_table(zip_path: Path, unreadable: frozenset[int | str]) -> LabelTable:
    return labels.read_usable(_pictures(zip_path, unreadable), archive.metadata(zip_path))


@lru_cache(16)  # some megabytes for the largest
def _pictures(zip_path: Path, unreadable: frozenset[int | str]) -> list[str]:
    listing = archive.listing(zip_path)
    return [name for name in listing.pictures if not unreadable & {name, listing.places[name]}]


def _unreadable(row: Row) -> frozenset[int | str]:
    """The pictures of an uploaded set that were of no use when it was checked.

    By their places in the archive; by their names in reports of 2026-11-28 and before.
    """
    return frozenset((row["report"] or {}).get("unreadable", ()))


def check_recipe(engine: sa.Engine, settings: Settings, recipe: Recipe) -> None:
    """Check that a set exists and has the labels that a recipe names.

    Raises UnknownDataset and InvalidRecipe.
    """
    if recipe.dataset in BUILT_IN:
        table = LabelTable({name: [] for name in STARTER_ATTRIBUTES})
    else:
        row = get(engine, recipe.dataset)
        table = label_table(settings, row) if recipe.has_labels else LabelTable()
    labels.check_names(recipe.labels, table, recipe.dataset, recipe.hidden_labels)
