"""Backup and restore: a consistent copy of database and blobs in one archive, made online.

The archive is an uncompressed tar of `manifest.json` (every file's SHA-256), the database
(database_dump.py), the store's files under `store/`, and unfinished enlargers under `enlarging/`.
The database is copied first, then the files that it names, as hard links or from the bucket. If one
of them is removed in between, the whole copy is made again.
"""

import json
import os
import shutil
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from models import bundle
from models.bundle import verify
from models.errors import KaoError
from models.maintenance import database_dump
from models.settings import Settings
from models.storage import atomic, layout

MANIFEST, STORE, KEY = "manifest.json", layout.STORE, layout.API_KEY
TRIES = 10


class Manifest(BaseModel):
    """Each file of an archive, by name, with its SHA-256."""

    format: int = 1
    files: dict[str, str]


def backup(settings: Settings, target: Path) -> Manifest:
    """Write an archive and return its manifest. Raises KaoError, StorageUnreachable."""
    for _ in range(TRIES):
        with atomic.scratch_folder(settings.storage) as stage:
            names = database_dump.dump(settings, stage)
            try:
                _gather(settings, names, stage)
                _gather_enlarging(settings, stage)
            except FileNotFoundError:
                continue  # a snapshot or dataset was removed; the next copy does not name it
            if (settings.home / KEY).exists():
                shutil.copyfile(settings.home / KEY, stage / KEY)
            manifest = Manifest(files={name: atomic.sha256(stage / name) for name in _all(stage)})
            _check_digests(manifest.files)
            _write(stage, manifest, target)
            return manifest
    raise KaoError(
        f"A file was removed while it was copied, {TRIES} times, or is missing: `kao verify` says "
        "which."
    )


def restore(settings: Settings, source: Path) -> Manifest:
    """Fill an empty KAO_HOME, or an empty DATABASE_URL, from an archive.

    The archive is verified as a whole before anything is written. Raises KaoError for an existing
    database, and for a damaged or foreign archive.
    """
    database_dump.refuse_full(settings)
    database = database_dump.file(settings)
    with atomic.scratch_folder(settings.storage) as stage:
        manifest = _unpack(source, stage)
        _verify(stage, manifest, database)
        for name in sorted(manifest.files):
            if name.startswith(f"{STORE}/"):
                place = settings.storage / name.removeprefix(f"{STORE}/")
                _move(stage / name, place)
                settings.blobs.put(place)
            elif name.startswith(f"{layout.ENLARGING}/"):
                _copy(stage / name, settings.home / name)
        if (stage / KEY).exists():
            _copy(stage / KEY, settings.home / KEY)
        database_dump.load(settings, stage / database)  # last: it makes the home complete
    return manifest


def _gather(settings: Settings, names: list[str], stage: Path) -> None:
    """Link or download the files that the database names into the stage."""
    staging = settings.blobs_in(stage / STORE)
    for name in names:
        source, target = settings.storage / name, stage / STORE / name
        if source.exists() or staging.url is None:
            _link(source, target)
        elif (unit := layout.unit(name)) is not None and unit.kind == layout.BUNDLES:
            staging.fetch_folder(target, partial(bundle.check_digest, version=target.name))
        else:
            staging.fetch(target)
        if not target.exists():
            raise FileNotFoundError(name)


def _gather_enlarging(settings: Settings, stage: Path) -> None:
    """Link what trainings of published models' enlargers saved, which `kao enlarge` continues."""
    for file in sorted((settings.home / layout.ENLARGING).glob(f"*{layout.SNAPSHOT_SUFFIX}")):
        _link(file, stage / layout.ENLARGING / file.name)


def _check_digests(files: Mapping[str, str]) -> None:
    """Raises KaoError for a gathered file that a restore would refuse. files: SHA-256 by name."""
    bundles: dict[str, dict[str, str]] = defaultdict(dict)
    for name, sha256 in sorted(files.items()):
        unit = layout.unit(name.removeprefix(f"{STORE}/"))
        if unit is not None and unit.kind == layout.BUNDLES:
            bundles[unit.owner][name.rpartition("/")[2]] = sha256
        elif unit is not None and unit.kind == layout.DATASETS and sha256 != unit.owner:
            raise KaoError(
                _explain_damage(f"the dataset of digest {unit.owner[:12]}", "upload it again")
            )
    for version, digests in bundles.items():
        if bundle.digest_of(digests) != version:
            raise KaoError(_explain_damage(f"model {version[:12]}", "delete it"))


def _explain_damage(item: str, remedy: str) -> str:
    return (
        f"The store's copy of {item} is damaged. `kao verify --repair` replaces it where there is "
        f"another copy; else {remedy}, then back up again."
    )


def _link(source: Path, target: Path) -> None:
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
        place = target / file.name if file != source else target
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(file, place)


def _all(stage: Path) -> list[str]:
    return sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())


def _write(stage: Path, manifest: Manifest, target: Path) -> None:
    (stage / MANIFEST).write_text(manifest.model_dump_json(indent=1))
    with atomic.whole_file(target.absolute()) as temporary:
        temporary.touch(mode=0o600)  # it contains the keys' hashes, and the first key
        with tarfile.open(temporary, "w") as archive:
            for name in (MANIFEST, *manifest.files):
                archive.add(stage / name, name)


def _unpack(source: Path, stage: Path) -> Manifest:
    try:
        with tarfile.open(source, "r:") as archive:
            archive.extractall(stage, filter="data")
        return Manifest.model_validate(json.loads((stage / MANIFEST).read_bytes()))
    except (tarfile.TarError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in atomic.DISK_ERRORS:
            raise
        raise KaoError(f"{source.name} is not a complete backup: {error}") from None


def _verify(stage: Path, manifest: Manifest, database: str) -> None:
    names = set(_all(stage)) - {MANIFEST}
    other = ({database_dump.SQLITE, database_dump.POSTGRESQL} - {database}).pop()
    if other in names:
        kind = (
            "SQLite; unset DATABASE_URL"
            if other == database_dump.SQLITE
            else "PostgreSQL; set its URL"
        )
        raise KaoError(f"The backup is of {kind}, then restore it there.")
    if names != manifest.files.keys() or database not in names:
        raise KaoError("The backup lacks files, or has files that its manifest does not list.")
    for name, sha256 in manifest.files.items():
        if atomic.sha256(stage / name) != sha256:
            raise KaoError(f"The backup is damaged: {name} is not what was saved.")
    for name in database_dump.check(stage, database) or []:
        if not (stage / STORE / name).exists():
            raise KaoError(f"The backup lacks {name}, which its database names.")
    for folder in sorted((stage / STORE / layout.BUNDLES).glob("*")):
        verify.verify(folder, folder.name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that only its owner can read it; the home may be on another disk."""
    with atomic.whole_file(target) as temporary:
        temporary.touch(mode=0o600)
        shutil.copyfile(source, temporary)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.sync(source)
    source.replace(target)
    atomic.sync(target.parent)
